"""Mixtures averaged over samples of the users: who gets a share, what is charged, and when the search takes them."""

from typing import Any

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.weighting import Weighting
from jobs.models.arrays import Matrix
from jobs.models.cosine import cosine_neighbours
from jobs.models.mixture import mix_models
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.registry import Algorithm
from jobs.offline.split import split_last_days
from jobs.tuning import bagging, search
from jobs.tuning.bagging import SCORE_SHARE_MIN, bag_trials
from jobs.tuning.budget import Budget
from jobs.tuning.ensemble import TRIALS_MAX
from jobs.tuning.objective import Objective
from jobs.tuning.search import Search
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.trial import GAIN_MIN, Trial
from tests.unit.offline import data


def third_neighbours(user_items: Matrix, k: int, *, unknown: int) -> Neighbours:
    """Return cosine neighbours that know nothing of a third of the products."""
    neighbours = cosine_neighbours(user_items, k)
    items = np.arange(len(neighbours.indices)) % 6 // 2 == unknown
    neighbours.indices[items], neighbours.scores[items], neighbours.co_occurrence[items] = NO_NEIGHBOUR, 0, 0
    return neighbours


SPACE = Space(Algorithm(third_neighbours), {"unknown": (0, 1, 2)}, {"unknown": 0})


@pytest.fixture(scope="module")
def objective() -> Objective:
    return Objective([split_last_days(data.shop(), 7, new_only=False)], Catalog.unknown(60))


def made_trial(objective: Objective, unknown: int, algorithm: str = "cosine") -> Trial:
    formula, budget, weighting = starting_formula(objective), Budget(1000), Weighting()
    neighbours = objective.fit(SPACE, {"unknown": unknown}, weighting, budget)
    scores = objective.score(neighbours, formula, budget)
    return Trial(algorithm, {"unknown": unknown}, weighting, formula, scores, neighbours)


def shares_of(mixture: Trial) -> dict[Any, float]:
    return {part["parameters"]["unknown"]: part["share"] for part in mixture.parameters["parts"]}


def test_trials_that_know_what_others_miss_are_mixed_though_they_are_of_one_algorithm(objective: Objective) -> None:
    trials = [made_trial(objective, unknown) for unknown in (0, 1, 2)]
    formula = starting_formula(objective)
    mixture = bag_trials(objective, trials, formula, Budget(1000))
    assert mixture is not None
    shares = shares_of(mixture)
    assert len(shares) >= 2
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-3)
    # no whole numbers: they are means over samples
    assert any(share not in (0.25, 0.5, 0.75) for share in shares.values())
    assert mixture.score > max(trial.score for trial in trials)
    # what was scored is what the description says
    by_parameter = {trial.parameters["unknown"]: trial for trial in trials}
    expected = mix_models([(by_parameter[unknown].neighbours[0], share) for unknown, share in shares.items()], 50)
    np.testing.assert_array_equal(mixture.neighbours[0].indices, expected.indices)
    np.testing.assert_array_equal(mixture.scores, objective.score([expected], formula, Budget(1000)))


def test_the_same_trials_give_the_same_shares(objective: Objective) -> None:
    trials = [made_trial(objective, unknown) for unknown in (0, 1)]
    first, second = (bag_trials(objective, trials, starting_formula(objective), Budget(1000)) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.parameters == second.parameters


def test_a_trial_too_far_behind_takes_no_part(objective: Objective) -> None:
    best, other = made_trial(objective, 0), made_trial(objective, 1)
    best.scores, other.scores = np.full(len(best.scores), 0.5), np.full(len(best.scores), 0.5 * SCORE_SHARE_MIN)
    formula = starting_formula(objective)
    assert bag_trials(objective, [best, other], formula, Budget(1000)) is not None
    other.scores = other.scores - 0.001
    assert bag_trials(objective, [best, other], formula, Budget(1000)) is None
    assert bag_trials(objective, [best], formula, Budget(1000)) is None


def test_no_more_trials_take_part_than_the_limit(objective: Objective) -> None:
    trials = [made_trial(objective, place % 3, f"model {place}") for place in range(TRIALS_MAX + 1)]
    for place, trial in enumerate(trials):
        trial.scores = np.full(len(trial.scores), 0.5 + place / 1000)
    mixture = bag_trials(objective, trials, starting_formula(objective), Budget(1000))
    assert mixture is not None
    assert "model 0" not in {part["algorithm"] for part in mixture.parameters["parts"]}


def test_mixtures_are_charged_and_end_with_the_budget(objective: Objective) -> None:
    trials, formula = [made_trial(objective, unknown) for unknown in (0, 1)], starting_formula(objective)
    unlimited = Budget(1000)
    mixture = bag_trials(objective, trials, formula, unlimited)
    assert mixture is not None
    assert unlimited.spent > 0
    assert mixture.cost == pytest.approx(unlimited.spent)
    # not one sample is finished
    assert bag_trials(objective, trials, formula, Budget(0)) is None
    short = Budget(unlimited.spent / 20)
    assert bag_trials(objective, trials, formula, short) is None
    # the scoring that was begun is all that is spent beyond it
    assert short.spent < unlimited.spent / 2


def test_each_mixture_that_is_made_is_charged_the_last_one_included(
    objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [made_trial(objective, unknown) for unknown in (0, 1, 2)]
    made, charged = [], []

    def mix(*arguments: Any) -> Neighbours:
        made.append(len(arguments[0]))
        return mix_models(*arguments)

    def predict(parts: int) -> float:
        charged.append(parts)
        return 0.0

    monkeypatch.setattr(bagging, "mix_models", mix)
    monkeypatch.setattr(objective, "predict_mixing", predict)
    assert bag_trials(objective, trials, starting_formula(objective), Budget(1000)) is not None
    # one fold: a mixture is made once
    assert len(objective.folds) == 1
    assert charged == made


# in units of the standard error of the difference
@pytest.mark.parametrize(
    ("lead", "published"),
    [(-0.1, "bagged"), (0.0, "bagged"), (GAIN_MIN - 0.01, "bagged"), (GAIN_MIN + 0.01, "selected")],
)
def test_the_mean_of_the_samples_replaces_the_selected_mixture_unless_that_is_better(
    objective: Objective, monkeypatch: pytest.MonkeyPatch, lead: float, published: str
) -> None:
    selected, bagged = made_trial(objective, 0, "selected"), made_trial(objective, 0, "bagged")
    n_users = len(bagged.scores)
    noise = np.where(np.arange(n_users) % 2 == 0, 0.1, -0.1)
    noise -= noise.mean()
    standard_error = noise.std(ddof=1) / np.sqrt(n_users)
    selected.scores, selected.fits, bagged.fits = bagged.scores + noise + lead * standard_error, 2, 0
    monkeypatch.setattr(search, "mix_trials", lambda *_: selected)
    monkeypatch.setattr(search, "sweep_formula", lambda *_: None)
    monkeypatch.setattr(search, "bag_trials", lambda *_: bagged)
    one_search = Search(objective, {"cosine": SPACE}, Budget(60))
    one_search.live = [made_trial(objective, 1)]
    one_search.mix()
    assert one_search.mixture is not None
    assert one_search.mixture.algorithm == published
    assert one_search.mixture.fits == 2


def test_without_a_selected_mixture_none_is_made(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "mix_trials", lambda *_: None)
    one_search = Search(objective, {"cosine": SPACE}, Budget(60))
    one_search.live = [made_trial(objective, unknown) for unknown in (0, 1, 2)]
    one_search.mix()
    assert one_search.mixture is None
