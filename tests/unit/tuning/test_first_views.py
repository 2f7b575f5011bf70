"""A visitor's list after one view is not the stranger's list, though that is right more often."""

import numpy as np
import pytest

from jobs.data.catalog import Catalog
from jobs.data.history import History
from jobs.data.weighting import Weighting
from jobs.models.arrays import Matrix
from jobs.models.neighbours import Neighbours
from jobs.models.popularity import popularity_neighbours
from jobs.models.registry import Algorithm
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import split_last_days
from jobs.tuning.budget import Budget
from jobs.tuning.first_views import CHANCE_MAX, FIRST_VIEWS_MIN, SHARED_MAX, FirstViews, first_view_factor
from jobs.tuning.objective import Objective
from jobs.tuning.search import Search
from jobs.tuning.selection import choose_model
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
from jobs.tuning.steps import fit_trial
from tests.unit.offline import data

ITEMS, STAPLES, USERS, K = 200, 12, 240, 20


def grocer() -> History:
    """Return visitors who view a product, buy its successor every second time, and always three of twelve staples."""
    random = np.random.default_rng(3)
    events = []
    for user in range(USERS):
        for day in (user * 60 / USERS, user * 60 / USERS + 30):
            item = int(random.integers(STAPLES, ITEMS - 1))
            bought = random.choice(STAPLES, 3, replace=False).tolist() + ([item + 1] if random.random() < 0.5 else [])
            events += [(user, item, 1.0, day)]
            events += [(user, product, 5.0, day + (1 + at) / 1440) for at, product in enumerate(bought)]
    return data.history(*events, users=USERS, items=ITEMS)


def successors(user_items: Matrix, k: int) -> Neighbours:
    """Return the next fifteen products as the neighbours of each."""
    n_items = user_items.shape[1]
    indices = np.full((n_items, k), -1, np.int32)
    indices[:, :15] = np.maximum(STAPLES, (np.arange(n_items)[:, None] + 1 + np.arange(15)) % n_items)
    scores = np.where(indices >= 0, 1.0 / (1 + np.arange(k)), 0.0).astype(np.float32)
    return Neighbours(indices, scores, (indices >= 0).astype(np.int32))


SPACES = {"popularity": Space(Algorithm(popularity_neighbours)), "successors": Space(Algorithm(successors))}


@pytest.mark.parametrize(
    ("length_shares", "best"), [((1 / 3, 1 / 3, 1 / 3), "successors"), (None, "popularity")], ids=["visitors", "all"]
)
def test_a_model_of_what_everybody_buys_is_not_chosen_for_visitors(
    length_shares: tuple[float, ...] | None, best: str
) -> None:
    split = split_last_days(grocer(), 30, new_only=True)
    objective = Objective([split], Catalog.unknown(ITEMS), repeats="exclude", length_shares=length_shares)
    trials = Search(objective, SPACES, Budget(1)).run()
    assert trials[0].algorithm == best
    if length_shares is None:
        return
    # neither its formula nor the model brings popularity back
    chosen, popular = trials[0], next(trial for trial in trials if trial.algorithm == "popularity")
    assert chosen.neighbours is not None
    assert popular.score < chosen.score
    for length, shared_max in SHARED_MAX.items():
        shares: list[float] = []
        for group in objective.folds[0].groups:
            formula = chosen.formula.in_scores_of(chosen.neighbours[0].mean_score)
            answers = group.recommender.recommend(chosen.neighbours[0], formula)
            first_views = FirstViews(group.recommender, group.history_lengths())
            shares += first_views.shares(answers, formula.trending_window, length)
        assert np.mean(shares) <= shared_max


def test_scores_beyond_the_bound_are_those_without_it_times_a_factor() -> None:
    split = split_last_days(grocer(), 30, new_only=True)
    shares = (1 / 3, 1 / 3, 1 / 3)
    objective = Objective([split], Catalog.unknown(ITEMS), repeats="exclude", length_shares=shares)
    space, formula, budget = SPACES["popularity"], starting_formula(objective), Budget(1e9)
    neighbours = objective.fit(space, {}, Weighting(), budget)
    bounded = objective.score(neighbours, formula, budget)
    objective._first_views = []
    unbounded = objective.score(neighbours, formula, budget)
    assert 0 < bounded.sum() < 0.5 * unbounded.sum()
    assert np.count_nonzero(bounded) == np.count_nonzero(unbounded)


def test_the_factor_in_scores_is_known_and_charged() -> None:
    split = split_last_days(grocer(), 30, new_only=True)
    objective = Objective([split], Catalog.unknown(ITEMS), repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3))
    formula, budget = starting_formula(objective), Budget(1e9)
    for name, is_bounded in (("popularity", True), ("successors", False)):
        neighbours = objective.fit(SPACES[name], {}, Weighting(), budget)
        bounded = objective.score(neighbours, formula, budget)
        before = budget.spent
        factor = objective.find_factor(neighbours, formula, budget)
        assert budget.spent > before
        assert (factor < 0.5) == is_bounded
        assert (factor == 1.0) != is_bounded
        views, objective._first_views = objective._first_views, []
        assert np.allclose(bounded / factor, objective.score(neighbours, formula, budget))
        objective._first_views = views
    # without visitors there is no bound, and nothing to compute
    everybody = Objective([split], Catalog.unknown(ITEMS), repeats="exclude")
    budget = Budget(1e9)
    assert everybody.find_factor(neighbours, formula, budget) == 1.0
    assert budget.spent == 0


def test_what_is_recorded_of_a_choice_is_its_quality_without_the_factor() -> None:
    choice = choose_model(
        grocer(),
        Catalog.unknown(ITEMS),
        time_budget_s=1,
        repeats="exclude",
        length_shares=(1 / 3, 1 / 3, 1 / 3),
        holdout_days=30,
        spaces={"popularity": SPACES["popularity"]},
    )
    (trial,) = choice.trials
    assert trial["first_view_factor"] < 1.0
    # three of twelve staples are bought, whatever was viewed, and most are in the list; with the factor it is 0.1
    assert trial["ndcg@20"] > 0.4
    assert choice.score == pytest.approx(trial["ndcg@20"], abs=1e-5)
    assert choice.newest is not None
    assert choice.newest.mean > 0.4


def group_of(lengths: list[int], n_items: int = ITEMS) -> FirstViews:
    """Return users of a shop where the stranger's list is the first products."""
    n_users = len(lengths)
    events = [(n_users, item, 5.0, 0.0) for item in range(n_items) for _ in range(n_items - item)]
    history = data.history(*events, users=n_users + 1, items=n_items)
    catalog = Catalog.unknown(n_items)
    snapshot = Snapshot(history, history.times.max(), np.arange(n_users), np.ones(n_items, np.bool_), catalog)
    return FirstViews(OfflineRecommender(snapshot, K, compiled=False), np.asarray(lengths))


def lists(*shared: int) -> np.ndarray:
    """Return answers with so many of the first ten products each, in the first ten places, and more of them after."""
    rows = [[*range(n), *range(100, 110 - n), *range(10 - n, 20 - n)] for n in shared]
    return np.asarray(rows, np.int64)


@pytest.mark.parametrize(("length", "most"), [(1, 2), (2, 2), (3, 1)])
def test_the_bound_is_on_the_mean_of_the_lists_after_each_of_the_first_views(length: int, most: int) -> None:
    n = FIRST_VIEWS_MIN
    group = group_of([length] * n + [4])
    assert group.are_bounded
    assert not group_of([4, 20]).are_bounded
    assert group.recommender.stranger_answer("7d").tolist() == list(range(K))
    # the last user knows more, and counts for nothing
    assert first_view_factor([group], [lists(*[most] * n, 10)], "7d") == 1.0
    assert first_view_factor([group], [lists(*[most - 1] * 2, *[most + 1] * 2, *[most] * (n - 4), 10)], "7d") == 1.0
    # one product beyond the bound halves, two leave a third
    bound = SHARED_MAX[length] * 10
    for more in (1, 2):
        factor = first_view_factor([group], [lists(*[most + more] * n, 0)], "7d")
        assert factor == pytest.approx(1 / (1 + most + more - bound))
    # too few, or no group at all
    few = group_of([length] * (n - 1) + [4, 4])
    assert first_view_factor([few], [lists(*[10] * (n + 1))], "7d") == 1.0
    assert first_view_factor([], [lists(10)], "7d") == 1.0


def test_the_length_farthest_beyond_its_bound_decides() -> None:
    n = FIRST_VIEWS_MIN
    group = group_of([1] * n + [3] * n)
    assert first_view_factor([group], [lists(*[4] * n, *[1] * n)], "7d") == pytest.approx(1 / 3)
    assert first_view_factor([group], [lists(*[4] * n, *[5] * n)], "7d") == pytest.approx(1 / 4.5)
    # the lists of lengths are not mixed: together they would be within
    assert first_view_factor([group], [lists(*[0] * n, *[3] * n)], "7d") == pytest.approx(1 / 2.5)


def test_in_a_shop_of_few_products_lists_may_be_more_alike() -> None:
    n_items = 60
    group = group_of([1] * FIRST_VIEWS_MIN, n_items)
    assert group.shared_max(1) == group.shared_max(3) == CHANCE_MAX * 10 / n_items == 0.5
    assert (group_of([1], ITEMS).shared_max(1), group_of([1], ITEMS).shared_max(3)) == (0.2, 0.15)
    within, beyond = lists(*[5] * FIRST_VIEWS_MIN), lists(*[6] * FIRST_VIEWS_MIN)
    assert first_view_factor([group], [within], "7d") == 1.0
    assert first_view_factor([group], [beyond], "7d") == pytest.approx(0.5)


def test_a_model_that_brings_popularity_back_is_compared_at_the_discount_that_it_needs() -> None:
    """Its neighbours are good ones, too: only their order is what everybody buys."""
    split = split_last_days(grocer(), 30, new_only=True)
    objective = Objective([split], Catalog.unknown(ITEMS), repeats="exclude", length_shares=(1 / 3, 1 / 3, 1 / 3))
    formula, budget = starting_formula(objective).with_(popularity_discount=0.0), Budget(1e9)
    trials = {
        name: fit_trial(objective, name, Space(Algorithm(fit)), {}, Weighting(), formula, budget)
        for name, fit in (("mixed", mixed), ("successors", successors))
    }
    assert trials["successors"].formula.popularity_discount == 0.0
    assert trials["mixed"].formula.popularity_discount > 0.0
    for trial in trials.values():
        assert objective.find_factor(trial.neighbours, trial.formula, budget) == 1.0
    undiscounted = objective.score(trials["mixed"].neighbours, formula, budget)
    assert trials["mixed"].score > undiscounted.mean()
    # another model of the same trial is not changed
    assert formula.popularity_discount == 0.0


def mixed(user_items: Matrix, k: int) -> Neighbours:
    """Return the staples, then the successors, as the neighbours of each."""
    next_ones = successors(user_items, k)
    indices, scores = np.full_like(next_ones.indices, -1), np.zeros_like(next_ones.scores)
    indices[:, :STAPLES], scores[:, :STAPLES] = np.arange(STAPLES), 1.0
    indices[:, STAPLES : STAPLES + 15], scores[:, STAPLES : STAPLES + 15] = next_ones.indices[:, :15], 0.6
    return Neighbours(indices, scores, (indices >= 0).astype(np.int32))
