"""An evaluation learns nothing from the future: planting it in the history changes no answer."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.split import Split, split_last_days
from jobs.reports.offline_evaluation import Evaluation, MethodResult, by_history, evaluate
from jobs.tuning.fitting import MIXTURE
from tests.unit.offline import data


def with_planted_future(history: History, split: Split) -> History:
    """Return the history with a hundred more copies of every event after the cut, which hold the answers."""
    after = history.times > split.now
    extra = {
        name: np.concatenate((getattr(history, name), np.repeat(getattr(history, name)[after], 100)))
        for name in ("users", "items", "weights", "times")
    }
    return replace(history, **extra)


def measured(split: Split, time_budget_s: float = 0.0) -> Evaluation:
    return evaluate(split, Catalog.unknown(len(split.known_items)), time_budget_s=time_budget_s)


def served_ndcg(evaluation: Evaluation) -> float:
    return float(evaluation.results[0].user_scores["ndcg@20"].mean())


@pytest.mark.parametrize(("time_budget_s", "new_only"), [(0.0, True), (0.0, False), (5.0, False)])
def test_planting_the_future_in_the_history_changes_no_answer(time_budget_s: float, new_only: bool) -> None:
    history = data.shop(users=80, events=2500)
    split = split_last_days(history, 7, new_only=new_only)
    planted_split = split_last_days(with_planted_future(history, split), 7, new_only=new_only)
    plain, planted = measured(split, time_budget_s), measured(planted_split, time_budget_s)
    assert plain.choice.trials == planted.choice.trials
    fits = sum(trial["fits"] for trial in plain.choice.trials)
    assert fits >= 8 if time_budget_s else fits == 4
    assert plain.choice.model_parameters() == planted.choice.model_parameters()
    assert np.array_equal(plain.choice.neighbours.indices, planted.choice.neighbours.indices)
    assert np.array_equal(plain.choice.neighbours.scores, planted.choice.neighbours.scores)
    assert plain.as_json()["results"] == planted.as_json()["results"]
    assert served_ndcg(plain) > 0


def test_a_split_that_leaks_would_be_seen() -> None:
    history = data.shop(items=600)
    split = split_last_days(history, 7, new_only=False)
    leaking = replace(split, train=history, now=history.times.max())
    assert served_ndcg(measured(leaking)) > 1.2 * served_ndcg(measured(split))


def test_means_are_shown_by_length_of_history_and_a_length_without_users_is_left_out() -> None:
    sizes = np.array([1, 1, 2, 4, 5, 19, 100, 5000])
    scores = np.array([0.0, 0.5, 1.0, 0.25, 0.5, 0.75, 0.125, 0.375])
    groups = by_history(sizes, {"served": scores, "most popular": 1 - scores})
    assert [(group["from"], group["to"], group["users"], group["served"]) for group in groups] == [
        (1, 1, 2, 0.25),
        (2, 2, 1, 1.0),
        (3, 4, 1, 0.25),
        (5, 19, 2, 0.625),
        (100, None, 2, 0.25),
    ]
    assert [group["most popular"] for group in groups] == [0.75, 0.0, 0.75, 0.375, 0.75]


def test_every_length_has_its_users() -> None:
    groups = by_history(np.arange(1, 301), {"served": np.zeros(300)})
    assert [group["users"] for group in groups] == [1, 1, 2, 15, 80, 201]
    assert sum(group["users"] for group in groups) == 300


def test_the_best_single_model_is_the_best_on_the_tuning_days_that_was_measured() -> None:
    evaluation = measured(split_last_days(data.shop(), 7, new_only=True))
    trials = [{"algorithm": name} for name in (MIXTURE, "ease", "cosine", "popularity")]
    results = [MethodResult(name, {}, {}) for name in ("served", MIXTURE, "popularity", "cosine")]
    choice = replace(evaluation.choice, trials=trials)
    assert replace(evaluation, results=results, choice=choice).best_single_model == "cosine"
    assert replace(evaluation, results=results[:1], choice=choice).best_single_model is None
    names = [result.name for result in evaluation.results]
    assert names[:3] == ["served", "most popular", "recently popular"]
