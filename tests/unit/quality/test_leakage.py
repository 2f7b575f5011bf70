"""The future, planted where a model could find it, changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.offline.split import Split, last_days
from jobs.reports.offline_evaluation import Evaluation, evaluate
from tests.unit.quality import data


def planted(history: History, split: Split) -> History:
    """Return the history with a hundred copies of every held-out event, and of events of users who have none, after the
    cut: whoever looked at them would know the answers."""
    after = history.times > split.now
    extra = {
        name: np.concatenate((getattr(history, name), np.repeat(getattr(history, name)[after], 100)))
        for name in ("users", "items", "weights", "times")
    }
    return replace(history, **extra)


def measured(split: Split, time_budget_s: float = 0.0) -> Evaluation:
    return evaluate(split, Catalog.unknown(len(split.known_items)), time_budget_s=time_budget_s, clock=data.Ticks())


@pytest.mark.parametrize(("time_budget_s", "new_only"), [(0.0, True), (0.0, False), (60.0, False)])
def test_planting_the_future_in_the_history_changes_no_answer(time_budget_s: float, new_only: bool) -> None:
    history = data.shop(users=80, events=2500)
    split = last_days(history, 7, new_only=new_only)
    again = last_days(planted(history, split), 7, new_only=new_only)
    one, other = measured(split, time_budget_s), measured(again, time_budget_s)
    assert one.choice.candidates == other.choice.candidates
    tuned = sum(candidate["fits"] for candidate in one.choice.candidates)
    assert tuned >= 9 if time_budget_s else tuned == 1
    assert one.choice.model_parameters() == other.choice.model_parameters()
    assert np.array_equal(one.choice.neighbours.indices, other.choice.neighbours.indices)
    assert np.array_equal(one.choice.neighbours.scores, other.choice.neighbours.scores)
    assert one.as_json()["results"] == other.as_json()["results"]
    assert one.lines[0].per_user["ndcg@20"].mean() > 0


def test_a_split_that_leaks_would_be_seen() -> None:
    history = data.shop(items=600)
    split = last_days(history, 7, new_only=False)
    leaking = replace(split, train=history, now=history.times.max())
    honest, dishonest = measured(split), measured(leaking)
    assert dishonest.lines[0].per_user["ndcg@20"].mean() > 1.2 * honest.lines[0].per_user["ndcg@20"].mean()
