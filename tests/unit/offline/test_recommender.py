"""The serving formula over arrays: compiled and interpreted loops agree with ``rank``."""

import random
from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.models.cosine import cosine_neighbours
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import numba_installed
from jobs.offline.recommender import CANDIDATES_KEPT, OfflineRecommender
from jobs.offline.snapshot import Snapshot, TasteProfiles
from jobs.tuning.space import FORMULA
from shared.domain.formula import (
    EXCLUSION_POLICIES,
    TASTE_SOURCES,
    TRENDING_WINDOWS,
    VIEWED_TIER,
    Formula,
    TasteSource,
    TrendingWindow,
)
from shared.domain.ranking import Candidate, TasteProfile, rank
from tests.unit.offline import data

ITEMS, K = 400, 20
needs_numba = pytest.mark.skipif(not numba_installed(), reason="Numba has no wheel for this Python")
ENGINES = [pytest.param(False, id="interpreted"), pytest.param(True, id="compiled", marks=needs_numba)]


def made_catalog(seed: int) -> Catalog:
    """Return products of which some have a category, a brand, tags or a price."""
    rng = np.random.default_rng(seed)
    tags = sparse.csr_array((rng.random((ITEMS, 7)) < 0.2).astype(np.float64))
    prices = np.where(rng.random(ITEMS) < 0.8, np.exp(rng.normal(2, 1, ITEMS)), 0.0)
    return Catalog(rng.integers(-1, 6, ITEMS), rng.integers(-1, 9, ITEMS), tags, prices)


@pytest.fixture(params=["known catalog", "unknown catalog"])
def snapshot(request: pytest.FixtureRequest) -> Snapshot:
    history = data.shop(users=60, items=ITEMS, events=3000)
    rng = np.random.default_rng(3)
    # some products are inactive, and some users are left out
    active, users = rng.random(ITEMS) < 0.9, np.flatnonzero(rng.random(60) < 0.8)
    catalog = made_catalog(1) if request.param == "known catalog" else Catalog.unknown(ITEMS)
    return Snapshot(history, history.times.max() + np.timedelta64(3, "h"), users, active, catalog)


@pytest.fixture
def neighbours(snapshot: Snapshot) -> Neighbours:
    return cosine_neighbours(snapshot.history.user_items(), 40, min_co_occurrence=1)


def random_formula(rng: random.Random) -> Formula:
    values = {**FORMULA, "exclusion_policy": EXCLUSION_POLICIES, "prior_evidence": (None, 0.1, 3.0)}
    return Formula(**{name: rng.choice(options) for name, options in values.items()})


@needs_numba
@pytest.mark.parametrize("seed", range(3))
def test_compiled_loops_answer_as_interpreted_ones(snapshot: Snapshot, neighbours: Neighbours, seed: int) -> None:
    rng = random.Random(seed)
    interpreted = OfflineRecommender(snapshot, K, compiled=False)
    compiled = OfflineRecommender(snapshot, K, compiled=True)
    for _ in range(8):
        formula = random_formula(rng)
        expected = interpreted.recommend(neighbours, formula)
        assert (expected >= 0).all(axis=1).any()
        assert np.array_equal(compiled.recommend(neighbours, formula), expected), formula


@pytest.mark.parametrize("compiled", ENGINES)
def test_an_answer_has_one_variant_of_a_product(compiled: bool) -> None:
    history = data.shop(users=60, items=ITEMS, events=3000)
    rng = np.random.default_rng(7)
    # half of the products are in groups of about four, the others in none
    groups = np.where(np.arange(ITEMS) % 2 == 0, rng.integers(0, 50, ITEMS), -1)
    catalog = replace(made_catalog(1), groups=groups)
    users = np.arange(len(history.user_ids))
    with_variants = Snapshot(history, history.times.max(), users, np.ones(ITEMS, np.bool_), catalog)
    neighbours = cosine_neighbours(history.user_items(), 40, min_co_occurrence=1)
    recommender = OfflineRecommender(with_variants, K, compiled=compiled)
    for policy in EXCLUSION_POLICIES:
        answers = recommender.recommend(neighbours, Formula(exclusion_policy=policy, trending_prior=0.2))
        shown = [groups[row[row >= 0]] for row in answers]
        for codes in shown:
            assert len(set(codes[codes >= 0])) == (codes >= 0).sum()
        assert any((codes >= 0).any() for codes in shown)
        if policy != "unmet":
            # there are enough other products
            assert (answers >= 0).all()


def taste_of(tastes: TasteProfiles, row: int) -> TasteProfile:
    """Return one user's taste as serving reads it."""
    scores = {
        kind: {str(code): float(score) for code, score in enumerate(values[row]) if score > 0}
        for kind, values in (("category", tastes.categories), ("brand", tastes.brands), ("tag", tastes.tags))
    }
    band = (float(tastes.mean_log_price[row]), float(tastes.deviation[row])) if tastes.has_prices[row] else None
    return TasteProfile(scores, band)


def served(snapshot: Snapshot, neighbours: Neighbours, formula: Formula, row: int) -> list[int]:
    """Return the answer of one user by the definitions: dense sums, every list as it is specified, and ``rank``."""
    weights = snapshot.profiles(formula).toarray()[row]
    cf = formula.repeat_weight * weights
    for item in np.flatnonzero(weights):
        for neighbour, score in zip(neighbours.indices[item], neighbours.scores[item], strict=True):
            if neighbour >= 0:
                cf[neighbour] += weights[item] * score
    policy = formula.exclusion_policy
    returning = snapshot.returning(policy)
    returning_items = returning.indices[returning.indptr[row] : returning.indptr[row + 1]].tolist()
    available = snapshot.active & (snapshot.excluded(policy).toarray()[row] == 0)
    if policy == "unmet":
        available &= np.isin(np.arange(ITEMS), returning_items)
    tiers: dict[int, tuple[int, int]] = {}

    def best(scores: np.ndarray, size: int) -> list[int]:  # type: ignore[type-arg]  # of any dtype
        order = sorted(np.flatnonzero(available & (scores > 0)).tolist(), key=lambda item: (-scores[item], item))
        return order[:size]

    by_profile = best(cf, 100 + K)
    categories, preferences = snapshot.catalog.categories, taste_of(snapshot.preferences, row)
    profile = taste_of(snapshot.tastes_from(snapshot.profiles(formula)), row)
    taste = {"preferences": preferences, "profile": profile}[formula.taste]
    favourites = sorted(preferences.scores["category"], key=lambda code: -preferences.scores["category"][code])[:3]
    in_favourites = np.isin(categories, [int(code) for code in favourites])
    for item in (*by_profile, *best(np.where(in_favourites, snapshot.trends["30d"], 0.0), 40 + K)):
        tiers[item] = (0, 0)
    window = "7d" if formula.trending_window in ("all", "engagement") else formula.trending_window
    newest = np.flatnonzero(available)[::-1].tolist()[:K]
    fillers = [best(snapshot.trends[window], K), best(snapshot.trends["all"], K), newest]
    if policy == "unmet":
        tiers, fillers = dict.fromkeys(by_profile, (0, 0)), []
    for tier, items in enumerate(fillers, start=1):
        for position, item in enumerate(items, start=1):
            tiers.setdefault(item, (tier, position))
    if len(tiers) < K:
        for position, item in enumerate([item for item in returning_items if snapshot.active[item]], start=1):
            tiers.setdefault(item, (VIEWED_TIER, position))
    tags = snapshot.catalog.tags.toarray()
    candidates = [
        Candidate(
            item,
            cf=float(cf[item]) if item in by_profile else 0.0,
            trending=float(snapshot.trends[formula.trending_window][item]),
            category_id=int(categories[item]) if categories[item] >= 0 else None,
            brand=str(snapshot.catalog.brands[item]) if snapshot.catalog.brands[item] >= 0 else None,
            tags=[str(tag) for tag in np.flatnonzero(tags[item])],
            price=float(snapshot.catalog.prices[item]),
            tier=tier,
            position=position,
            bought=float(snapshot.trends["all"][item]),
        )
        for item, (tier, position) in tiers.items()
    ]
    n_known = int(np.count_nonzero(weights))
    return [product.id for product in rank(candidates, taste, formula, K, n_known=n_known)]


@pytest.mark.parametrize("compiled", ENGINES)
def test_answers_are_those_of_the_serving_definitions(
    snapshot: Snapshot, neighbours: Neighbours, compiled: bool
) -> None:
    rng = random.Random(11)
    recommender = OfflineRecommender(snapshot, K, compiled=compiled)
    for _ in range(6):
        formula = random_formula(rng)
        answers = recommender.recommend(neighbours, formula)
        for row in range(0, len(snapshot.users), 5):
            assert answers[row].tolist() == served(snapshot, neighbours, formula, row), (formula, row)


@pytest.mark.parametrize("policy", EXCLUSION_POLICIES)
def test_excluded_products_are_never_shown(snapshot: Snapshot, neighbours: Neighbours, policy: str) -> None:
    formula = Formula(exclusion_policy=policy, repeat_weight=5.0)  # type: ignore[arg-type]  # one of the policies
    answers = OfflineRecommender(snapshot, K, compiled=False).recommend(neighbours, formula)
    bought = snapshot.history.weights == 5.0
    for row, user in enumerate(snapshot.users):
        of_user = snapshot.history.users == user
        met = {"nothing": of_user & False, "bought": of_user & bought, "seen": of_user, "unmet": of_user & False}[
            policy
        ]
        hidden = set(snapshot.history.items[met].tolist()) | set(np.flatnonzero(~snapshot.active).tolist())
        assert not hidden & set(answers[row].tolist())


@pytest.mark.parametrize("compiled", ENGINES)
def test_ties_go_to_the_first_items(snapshot: Snapshot, compiled: bool) -> None:
    uniform = Neighbours.none(ITEMS, 200)
    # every item suggests 200 items equally: more than a profile's candidates
    uniform.indices[:] = np.arange(200)
    uniform.scores[:] = 0.5
    formula = Formula(blend=1.0, exclusion_policy="nothing", weight_power=0.0)
    answers = OfflineRecommender(snapshot, K, compiled=compiled).recommend(uniform, formula)
    for row in range(0, len(snapshot.users), 7):
        assert answers[row].tolist() == served(snapshot, uniform, formula, row)


@pytest.mark.parametrize("compiled", ENGINES)
def test_users_without_neighbours_get_taste_and_fillers(snapshot: Snapshot, compiled: bool) -> None:
    nothing, formula = Neighbours.none(ITEMS, 5), Formula(blend=1.0)
    answers = OfflineRecommender(snapshot, K, compiled=compiled).recommend(nothing, formula)
    assert (answers >= 0).all()
    for row in range(0, len(snapshot.users), 7):
        assert answers[row].tolist() == served(snapshot, nothing, formula, row)


@pytest.mark.parametrize("compiled", ENGINES)
def test_known_products_return_where_too_few_others_remain(compiled: bool) -> None:
    history = data.shop(users=30, items=ITEMS, events=1500)
    active = np.arange(ITEMS) < K + 3
    snapshot = Snapshot(history, history.times.max(), np.arange(30), active, made_catalog(1))
    neighbours = cosine_neighbours(history.user_items(), 40, min_co_occurrence=1)
    formula = Formula(exclusion_policy="seen")
    answers = OfflineRecommender(snapshot, K, compiled=compiled).recommend(neighbours, formula)
    met = history.user_items().toarray() > 0
    returned = 0
    for row in range(len(snapshot.users)):
        answer = [item for item in answers[row].tolist() if item >= 0]
        assert answer == served(snapshot, neighbours, formula, row)
        returned += int(met[row, answer].sum())
    assert returned > 0


@pytest.mark.parametrize("taste", TASTE_SOURCES)
def test_answers_do_not_depend_on_what_was_answered_before(taste: TasteSource) -> None:
    history = data.shop(users=30, items=ITEMS, events=1500)
    active = np.ones(ITEMS, np.bool_)
    snapshot = Snapshot(history, history.times.max(), np.arange(30), active, made_catalog(1))
    neighbours, other = (cosine_neighbours(history.user_items(), k, min_co_occurrence=1) for k in (40, 10))
    kept = OfflineRecommender(snapshot, K, compiled=False)
    start = Formula(
        trending_prior=0.1,
        half_life_days=30.0,
        rank_decay=0.9,
        repeat_weight=0.1,
        frequency_power=0.5,
        weight_power=0.5,
        blend=0.3,
        taste=taste,
    )
    values = {**FORMULA, "exclusion_policy": EXCLUSION_POLICIES, "profile_events": (3, 200)}
    for name, options in values.items():
        kept.recommend(neighbours, start)
        kept.recommend(other, start)
        # each parameter alone
        for formula in (start.with_(**{name: options[at]}) for at in (0, -1)):
            fresh = OfflineRecommender(snapshot, K, compiled=False)
            assert np.array_equal(kept.recommend(neighbours, formula), fresh.recommend(neighbours, formula)), formula


@pytest.mark.parametrize("window", TRENDING_WINDOWS)
def test_lists_are_filled_with_the_trend_of_the_window_or_of_a_week(snapshot: Snapshot, window: TrendingWindow) -> None:
    recommender = OfflineRecommender(snapshot, K, compiled=False)
    scores = snapshot.trends["30d" if window == "30d" else "7d"]
    expected = sorted(range(ITEMS), key=lambda item: (-scores[item], item))[:K]
    assert (scores[expected] > 0).all()
    assert recommender.stranger_answer(window).tolist() == expected


def test_the_taste_of_the_latest_profile_is_known(snapshot: Snapshot, neighbours: Neighbours) -> None:
    recommender = OfflineRecommender(snapshot, K, compiled=False)
    catalog = snapshot.catalog
    n_values = int(catalog.categories.max()) + 1 + int(catalog.brands.max()) + 1 + catalog.tags.shape[1]
    assert recommender.n_taste_values == len(snapshot.users) * n_values
    formula = Formula(taste="profile")
    assert recommender.has_cached_taste(Formula())
    assert not recommender.has_cached_taste(formula)
    recommender.recommend(neighbours, formula)
    # neither what is left out nor how scores are mixed changes a profile
    assert recommender.has_cached_taste(formula.with_(exclusion_policy="seen", repeat_weight=0.3, blend=0.1))
    others = {
        "profile_events": 3,
        "rank_decay": 0.5,
        "half_life_days": 7.0,
        "weight_power": 0.5,
        "frequency_power": 0.5,
    }
    for name, value in others.items():
        assert not recommender.has_cached_taste(formula.with_(**{name: value})), name


def test_candidates_are_known_for_the_latest_models_and_profiles(snapshot: Snapshot, neighbours: Neighbours) -> None:
    recommender = OfflineRecommender(snapshot, K, compiled=False)
    other = replace(neighbours)
    formula = Formula()
    assert not recommender.has_candidates(neighbours, formula)
    recommender.recommend(neighbours, formula)
    # what only mixes scores needs no other candidates
    assert recommender.has_candidates(
        neighbours, formula.with_(blend=0.1, trending_prior=1.0, prior_evidence=1.0, affinity_trend=10.0)
    )
    assert recommender.has_candidates(neighbours, formula.with_(trending_window="all"))
    assert not recommender.has_candidates(other, formula)
    assert not recommender.has_candidates(neighbours, formula.with_(exclusion_policy="nothing"))
    for events in range(1, CANDIDATES_KEPT):
        recommender.recommend(neighbours, formula.with_(profile_events=events))
    assert recommender.has_candidates(neighbours, formula)
    # the one used longest ago makes room
    recommender.recommend(neighbours, formula)
    recommender.recommend(neighbours, formula.with_(profile_events=CANDIDATES_KEPT))
    assert recommender.has_candidates(neighbours, formula)
    assert not recommender.has_candidates(neighbours, formula.with_(profile_events=1))
    assert recommender.has_candidates(neighbours, formula.with_(profile_events=2))
