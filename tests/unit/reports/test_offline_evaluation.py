"""An evaluation learns nothing from the future: planting it in the history changes no answer."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.split import Split, split_last_days
from jobs.reports.offline_evaluation import Evaluation, evaluate
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
    return evaluate(split, Catalog.unknown(len(split.known_items)), time_budget_s=time_budget_s, clock=data.Ticks())


def served_ndcg(evaluation: Evaluation) -> float:
    return float(evaluation.results[0].user_scores["ndcg@20"].mean())


@pytest.mark.parametrize(("time_budget_s", "new_only"), [(0.0, True), (0.0, False), (60.0, False)])
def test_planting_the_future_in_the_history_changes_no_answer(time_budget_s: float, new_only: bool) -> None:
    history = data.shop(users=80, events=2500)
    split = split_last_days(history, 7, new_only=new_only)
    planted_split = split_last_days(with_planted_future(history, split), 7, new_only=new_only)
    plain, planted = measured(split, time_budget_s), measured(planted_split, time_budget_s)
    assert plain.choice.trials == planted.choice.trials
    fits = sum(trial["fits"] for trial in plain.choice.trials)
    assert fits >= 9 if time_budget_s else fits == 1
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
