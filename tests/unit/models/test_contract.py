"""The contract of item-to-item algorithms, on data with a known answer."""

import importlib
import inspect
import pkgutil
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

import jobs.models
from jobs.models.arrays import Matrix
from jobs.models.errors import Unsuitable
from jobs.models.neighbours import Neighbours
from jobs.models.registry import ALGORITHMS
from jobs.tuning.space import SPACES
from tests.unit.models import data

# each algorithm's neighbours computed slowly and densely; None if the algorithm only approximates
REFERENCES: dict[str, Callable[[Matrix, int], Neighbours] | None] = {
    "cosine": data.dense_cosine,
    "tfidf": data.dense_tfidf,
    "bm25": data.dense_bm25,
    "transitions": data.dense_transitions,
    "rp3beta": data.dense_rp3beta,
    "ease": data.dense_ease,
    "ease_head": data.dense_ease_head,
    "als": None,  # iterates from a random start
    "popularity": data.dense_popularity,
}
# gives all items the same neighbours
NOT_PERSONAL = {"popularity"}
# Unsuitable for matrices without a tail, and so for empty ones
NEEDS_A_TAIL = {"ease_head"}

each = pytest.mark.parametrize("name", ALGORITHMS)
personal = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name not in NOT_PERSONAL])


def same(first: Neighbours, second: Neighbours) -> bool:
    return (
        np.array_equal(first.indices, second.indices)
        and np.array_equal(first.scores, second.scores)
        and np.array_equal(first.co_occurrence, second.co_occurrence)
    )


def fit_or_none(name: str, user_items: Matrix, k: int) -> Neighbours:
    """Fit; if the algorithm needs a tail and there is none, expect Unsuitable and return no neighbours."""
    n_active = len(np.unique(user_items.indices))
    if name in NEEDS_A_TAIL and n_active < 2:
        with pytest.raises(Unsuitable):
            data.fit(name, user_items, k)
        return Neighbours.none(user_items.shape[1], k)
    return data.fit(name, user_items, k)


def test_every_algorithm_has_a_reference_or_states_that_it_has_none() -> None:
    assert REFERENCES.keys() == ALGORITHMS.keys()


def test_every_algorithm_has_a_search_space_of_its_own_parameters() -> None:
    assert SPACES.keys() == ALGORITHMS.keys()
    for name, space in SPACES.items():
        assert space.algorithm is ALGORITHMS[name]
        assert space.values.keys() == space.start.keys()
        assert space.values.keys() <= inspect.signature(space.algorithm.fit).parameters.keys()
        assert all(space.start[parameter] in values for parameter, values in space.values.items())


def test_every_algorithm_states_its_cost_and_needs_and_names_itself() -> None:
    for name, algorithm in ALGORITHMS.items():
        assert algorithm.fit.__name__ == f"{name}_neighbours"
        assert algorithm.cost
        assert algorithm.needs


def test_every_function_that_finds_neighbours_is_registered() -> None:
    registered = {algorithm.fit for algorithm in ALGORITHMS.values()}
    defined = set()
    for info in pkgutil.iter_modules(jobs.models.__path__):
        module = importlib.import_module(f"jobs.models.{info.name}")
        functions = inspect.getmembers(module, inspect.isfunction)
        defined |= {
            function
            for name, function in functions
            if name.endswith("_neighbours") and function.__module__ == module.__name__
        }
    assert defined == registered


@each
def test_a_limit_is_stated_if_and_only_if_the_algorithm_raises_unsuitable(name: str) -> None:
    module = inspect.getmodule(ALGORITHMS[name].fit)
    raises = "Unsuitable" in vars(module) or "TooLarge" in vars(module)
    assert bool(ALGORITHMS[name].limit) == raises


@personal
def test_on_a_checkerboard_an_items_neighbours_are_those_of_its_colour(name: str) -> None:
    neighbours = data.fit(name, data.checkerboard(users=20, items=24), 5)
    assert (neighbours.indices >= 0).all()
    assert (neighbours.indices % 2 == np.arange(24)[:, None] % 2).all()
    assert (neighbours.co_occurrence == 10).all()


@each
@pytest.mark.parametrize("seed", range(5))
def test_neighbours_are_others_ranked_by_score_then_co_occurrence_then_index(name: str, seed: int) -> None:
    user_items = data.random(users=30, items=25, density=0.3, seed=seed)
    neighbours = data.fit(name, user_items, 8)
    counts = data.co_occurrence(user_items)
    assert (neighbours.indices.dtype, neighbours.scores.dtype, neighbours.co_occurrence.dtype) == (
        np.int32,
        np.float32,
        np.int32,
    )
    assert neighbours.indices.shape == neighbours.scores.shape == neighbours.co_occurrence.shape == (25, 8)
    for item in range(25):
        present = neighbours.indices[item] >= 0
        n = int(present.sum())
        assert present[:n].all(), "padding comes last"
        assert (neighbours.scores[item, n:] == 0).all()
        assert (neighbours.co_occurrence[item, n:] == 0).all()
        items = neighbours.indices[item, :n]
        assert item not in items
        assert len(set(items.tolist())) == n
        assert (neighbours.co_occurrence[item, :n] == counts[item, items]).all()
        keys = list(zip(-neighbours.scores[item, :n], -neighbours.co_occurrence[item, :n], items, strict=True))
        assert keys == sorted(keys)
    assert (neighbours.scores >= 0).all()
    assert (neighbours.scores <= 1).all()
    assert neighbours.counts.tolist() == (neighbours.indices >= 0).sum(axis=1).tolist()


@pytest.mark.parametrize("name", [name for name, reference in REFERENCES.items() if reference is not None])
@pytest.mark.parametrize(
    ("users", "items", "density", "k"), [(40, 30, 0.2, 7), (60, 50, 0.5, 50), (200, 40, 0.05, 3), (8, 60, 0.9, 10)]
)
def test_the_best_are_exactly_those_of_the_dense_reference(
    name: str, users: int, items: int, density: float, k: int
) -> None:
    reference = REFERENCES[name]
    assert reference is not None
    for seed in range(4):
        user_items = data.random(users, items, density, seed)
        neighbours, expected = data.fit(name, user_items, k), reference(user_items, k)
        data.assert_alike(neighbours, expected)


@each
def test_fewer_neighbours_are_the_first_of_more(name: str) -> None:
    user_items = data.random(users=50, items=40, density=0.4, seed=1)
    four, twenty = data.fit(name, user_items, 4), data.fit(name, user_items, 20)
    assert same(four, Neighbours(twenty.indices[:, :4], twenty.scores[:, :4], twenty.co_occurrence[:, :4]))


@each
def test_the_same_input_in_another_order_gives_the_same_arrays_and_is_left_alone(name: str) -> None:
    user_items = data.random(users=30, items=20, density=0.4, seed=2)
    backwards = user_items.copy()
    for row in range(30):
        entries = slice(backwards.indptr[row], backwards.indptr[row + 1])
        backwards.indices[entries] = backwards.indices[entries][::-1]
        backwards.data[entries] = backwards.data[entries][::-1]
    backwards.has_sorted_indices = False
    stored = backwards.data.copy(), backwards.indices.copy(), backwards.indptr.copy()
    assert same(data.fit(name, user_items, 6), data.fit(name, backwards, 6))
    for before, after in zip(stored, (backwards.data, backwards.indices, backwards.indptr), strict=True):
        assert np.array_equal(before, after)


@each
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (4, 5)])
def test_an_empty_matrix_gives_no_neighbours(name: str, shape: tuple[int, int]) -> None:
    neighbours = fit_or_none(name, sparse.csr_array(shape, dtype=np.float64), 3)
    assert neighbours.indices.shape == (shape[1], 3)
    assert (neighbours.indices == -1).all()


@personal
@pytest.mark.parametrize("shape", [(1, 6), (6, 1), (1, 1)])
def test_one_user_or_one_item_gives_no_neighbours(name: str, shape: tuple[int, int]) -> None:
    neighbours = fit_or_none(name, sparse.csr_array(np.ones(shape)), 3)
    assert (neighbours.indices == -1).all()


@each
def test_a_stored_zero_is_no_interaction(name: str) -> None:
    weights = data.checkerboard(users=8, items=6)
    everything = sparse.csr_array(np.ones((8, 6)))
    everything.data[:] = weights.toarray().ravel()
    assert everything.nnz == 48
    assert same(data.fit(name, everything, 3), data.fit(name, weights, 3))


@personal
def test_more_neighbours_than_items_are_padded(name: str) -> None:
    # six more items, each of a user of its own, who can be no neighbours
    user_items = sparse.csr_array(sparse.block_diag([data.checkerboard(users=10, items=6), np.eye(6)]))
    neighbours = data.fit(name, user_items, 50)
    assert neighbours.counts.tolist() == [2] * 6 + [0] * 6


@each
@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(name: str, k: int) -> None:
    with pytest.raises(ValueError, match="k"):
        data.fit(name, data.checkerboard(users=4, items=4), k)


@each
@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_negative_and_infinite_weights_are_refused(name: str, weight: float) -> None:
    user_items = data.checkerboard(users=4, items=4)
    user_items.data[0] = weight
    with pytest.raises(ValueError, match="weights"):
        data.fit(name, user_items, 2)


@each
def test_memory_does_not_grow_with_the_square_of_the_catalog(name: str) -> None:
    n_items = 5000
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(n_items, 700, replace=False) for _ in range(60)])
    users = np.repeat(np.arange(60), 700)
    user_items = sparse.csr_array((np.ones(len(items)), (users, items)), shape=(60, n_items))
    tracemalloc.start()
    try:
        data.fit(name, user_items, 10)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # the whole similarity with its counts would be 25 million entries of 20 bytes or more
    assert peak < 200_000_000
