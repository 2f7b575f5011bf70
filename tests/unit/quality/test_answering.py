"""The compiled serving path answers what the one in NumPy does."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from jobs.data.catalog import Catalog
from jobs.models.cosine import cosine_neighbours
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import numba_installed
from jobs.offline import kernels
from jobs.offline.compiled import CompiledServer, compiled
from jobs.offline.recommender import Server
from jobs.offline.snapshot import Past
from jobs.tuning.space import FORMULA
from shared.domain.formula import Formula
from tests.unit.quality import data

ITEMS = 400
ENGINES = [
    pytest.param(lambda: kernels.answer, id="interpreted"),
    pytest.param(
        compiled,
        id="compiled",
        marks=pytest.mark.skipif(not numba_installed(), reason="Numba has no wheel for this Python"),
    ),
]


def catalog(seed: int) -> Catalog:
    """Return products that say a category, a brand, tags or a price, or not."""
    rng = np.random.default_rng(seed)
    tags = sparse.csr_array((rng.random((ITEMS, 7)) < 0.2).astype(np.float64))
    prices = np.where(rng.random(ITEMS) < 0.8, np.exp(rng.normal(2, 1, ITEMS)), 0.0)
    return Catalog(rng.integers(-1, 6, ITEMS), rng.integers(-1, 9, ITEMS), tags, prices)


@pytest.fixture(params=["told", "untold"])
def past(request: pytest.FixtureRequest) -> Past:
    history = data.shop(users=60, items=ITEMS, events=3000)
    rng = np.random.default_rng(3)
    # some are sold no more, and not everybody is asked for
    active, users = rng.random(ITEMS) < 0.9, np.flatnonzero(rng.random(60) < 0.8)
    known = catalog(1) if request.param == "told" else Catalog.unknown(ITEMS)
    return Past(history, history.times.max() + np.timedelta64(3, "h"), users, active, known)


@pytest.fixture
def neighbours(past: Past) -> Neighbours:
    return cosine_neighbours(past.history.user_items(), 40, min_co_occurrence=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("seed", range(3))
def test_compiled_answers_are_those_of_numpy(
    past: Past, neighbours: Neighbours, engine: Callable[[], Callable[..., None]], seed: int
) -> None:
    rng = random.Random(seed)
    slow, fast = Server(past, 20), CompiledServer(past, 20, answer=engine())
    for _ in range(8):
        formula = Formula(**{name: rng.choice(values) for name, values in FORMULA.items()})
        expected = slow.recommend(neighbours, formula)
        assert (expected >= 0).all(axis=1).any()
        assert np.array_equal(fast.recommend(neighbours, formula), expected), formula


@pytest.mark.parametrize("engine", ENGINES)
def test_equals_go_to_the_first(past: Past, engine: Callable[[], Callable[..., None]]) -> None:
    found = Neighbours.none(ITEMS, 200)
    # everything speaks for everything else alike, more than profiles may bring
    found.indices[:] = np.arange(200)
    found.scores[:] = 0.5
    formula = Formula(blend=1.0, returning="all", weight_power=0.0)
    expected = Server(past, 20).recommend(found, formula)
    answers = CompiledServer(past, 20, answer=engine()).recommend(found, formula)
    assert np.array_equal(answers, expected)


def test_users_without_anything_get_what_sells(past: Past) -> None:
    nothing = Neighbours.none(ITEMS, 5)
    formula = Formula(blend=1.0)
    assert np.array_equal(
        CompiledServer(past, 20, answer=kernels.answer).recommend(nothing, formula),
        Server(past, 20).recommend(nothing, formula),
    )
