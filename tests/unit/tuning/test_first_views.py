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
from jobs.tuning.first_views import BEYOND_FACTOR, CHANCE_MAX, FIRST_VIEWS_MIN, FirstViews, first_view_factor
from jobs.tuning.objective import Objective
from jobs.tuning.search import Search
from jobs.tuning.selection import choose_model
from jobs.tuning.space import Space
from jobs.tuning.starts import starting_formula
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
    shares: list[float] = []
    for group in objective.folds[0].groups:
        formula = chosen.formula.in_scores_of(chosen.neighbours[0].mean_score)
        answers = group.recommender.recommend(chosen.neighbours[0], formula)
        first_views = FirstViews(group.recommender, group.history_lengths() == 1)
        shares += first_views.shares(answers, formula.trending_window)
    assert np.mean(shares) <= 0.2


def test_scores_beyond_the_bound_are_those_without_it_times_a_factor() -> None:
    split = split_last_days(grocer(), 30, new_only=True)
    shares = (1 / 3, 1 / 3, 1 / 3)
    objective = Objective([split], Catalog.unknown(ITEMS), repeats="exclude", length_shares=shares)
    space, formula, budget = SPACES["popularity"], starting_formula(objective), Budget(1e9)
    neighbours = objective.fit(space, {}, Weighting(), budget)
    bounded = objective.score(neighbours, formula, budget)
    objective._first_views = []
    unbounded = objective.score(neighbours, formula, budget)
    assert 0 < bounded.sum() <= BEYOND_FACTOR * unbounded.sum()
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
        assert (factor < BEYOND_FACTOR) == is_bounded
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
    assert trial["first_view_factor"] < BEYOND_FACTOR
    # three of twelve staples are bought, whatever was viewed, and most are in the list; with the factor it is 0.1
    assert trial["ndcg@20"] > 0.4
    assert choice.score == pytest.approx(trial["ndcg@20"], abs=1e-5)
    assert choice.newest is not None
    assert choice.newest.mean > 0.4


def group_of(is_first: list[bool], n_items: int = ITEMS) -> FirstViews:
    """Return users of a shop where the stranger's list is the first products."""
    n_users = len(is_first)
    events = [(n_users, item, 5.0, 0.0) for item in range(n_items) for _ in range(n_items - item)]
    history = data.history(*events, users=n_users + 1, items=n_items)
    catalog = Catalog.unknown(n_items)
    snapshot = Snapshot(history, history.times.max(), np.arange(n_users), np.ones(n_items, np.bool_), catalog)
    return FirstViews(OfflineRecommender(snapshot, K, compiled=False), np.asarray(is_first))


def lists(*shared: int) -> np.ndarray:
    """Return answers with so many of the first ten products each, in the first ten places, and more of them after."""
    rows = [[*range(n), *range(100, 110 - n), *range(10 - n, 20 - n)] for n in shared]
    return np.asarray(rows, np.int64)


def test_the_bound_is_two_of_ten_on_the_mean_of_first_views() -> None:
    n = FIRST_VIEWS_MIN
    group = group_of([True] * n + [False])
    assert group.recommender.stranger_answer("7d").tolist() == list(range(K))
    # the last user knows more, and counts for nothing
    assert first_view_factor([group], [lists(*[2] * n, 10)], "7d") == 1.0
    assert first_view_factor([group], [lists(*[1] * (n - 1), n + 1 if n < 10 else 10, 10)], "7d") == 1.0
    beyond = first_view_factor([group], [lists(*[2] * (n - 1), 3, 10)], "7d")
    assert beyond == pytest.approx(BEYOND_FACTOR / (1 + 1 / n))
    assert first_view_factor([group], [lists(*[10] * n, 0)], "7d") < beyond
    # too few, or no group at all
    few = group_of([True] * (n - 1) + [False, False])
    assert first_view_factor([few], [lists(*[10] * (n + 1))], "7d") == 1.0
    assert first_view_factor([], [lists(10)], "7d") == 1.0


def test_in_a_shop_of_few_products_lists_may_be_more_alike() -> None:
    n_items = 60
    group = group_of([True] * FIRST_VIEWS_MIN, n_items)
    assert group.shared_max == CHANCE_MAX * 10 / n_items == 0.5
    assert group_of([True], ITEMS).shared_max == 0.2
    within, beyond = lists(*[5] * FIRST_VIEWS_MIN), lists(*[6] * FIRST_VIEWS_MIN)
    assert first_view_factor([group], [within], "7d") == 1.0
    assert first_view_factor([group], [beyond], "7d") < BEYOND_FACTOR
