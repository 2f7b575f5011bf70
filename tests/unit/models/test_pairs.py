"""The compiled kernels give the results of SciPy, and those of the interpreted kernels."""

from collections.abc import Iterator

import numpy as np
import pytest
from scipy import sparse

from jobs.models import als, als_kernel, pair_kernels, pairs
from jobs.models.neighbours import Neighbours
from jobs.models.registry import ALGORITHMS
from tests.unit.models import data

needs_numba = pytest.mark.skipif(not pairs.numba_installed(), reason="Numba has no wheel for this Python")
ENGINES = ["interpreted", pytest.param("compiled", marks=needs_numba)]


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> pairs.Engine:
    return pairs.INTERPRETED if request.param == "interpreted" else pairs.compile_engine()


@pytest.fixture
def kernels_only(engine: pairs.Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Rank every matrix with the kernels, however small."""
    with monkeypatch.context() as patched:
        patched.setattr(pairs, "MIN_COMPILED_WORK", 0)
        patched.setattr(pairs, "numba_installed", lambda: True)
        patched.setattr(pairs, "compile_engine", lambda: engine)
        yield


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize(("users", "items", "density"), [(40, 30, 0.3), (12, 90, 0.05), (150, 20, 0.6)])
def test_every_algorithm_gives_the_same_with_the_kernels_as_with_scipy(
    engine: pairs.Engine, monkeypatch: pytest.MonkeyPatch, name: str, users: int, items: int, density: float
) -> None:
    user_items = data.random(users, items, density, seed=5)
    expected = data.fit(name, user_items, 8)
    with monkeypatch.context() as patched:
        patched.setattr(pairs, "MIN_COMPILED_WORK", 0)
        patched.setattr(pairs, "numba_installed", lambda: True)
        patched.setattr(pairs, "compile_engine", lambda: engine)
        neighbours = data.fit(name, user_items, 8)
    data.assert_alike(neighbours, expected)


@pytest.mark.usefixtures("kernels_only")
def test_ties_go_to_the_more_common_and_then_to_the_first() -> None:
    neighbours = data.fit("cosine", data.checkerboard(users=20, items=40), 5)
    assert neighbours.indices[0].tolist() == [2, 4, 6, 8, 10]
    assert neighbours.indices[39].tolist() == [1, 3, 5, 7, 9]
    assert (neighbours.co_occurrence == 10).all()


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("min_co_occurrence", [1, 2, 4])
def test_how_many_threads_there_are_changes_nothing(
    engine: pairs.Engine, workers: int, min_co_occurrence: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "SCORED_BATCH", 3)
    user_items = data.random(users=50, items=70, density=0.2, seed=9)
    scales = np.random.default_rng(1).random((2, 70)) + 0.1

    def run(number: int) -> Neighbours:
        return pairs.score_co_occurring(
            user_items,
            6,
            source=scales[0],
            target=scales[1],
            min_co_occurrence=min_co_occurrence,
            engine=engine,
            workers=number,
        )

    for parallel, serial in zip(run(workers).arrays, run(1).arrays, strict=True):
        assert np.array_equal(parallel, serial)
    weights, counts = user_items.toarray(), data.co_occurrence(user_items)
    expected = data.ranked_above_zero(
        scales[0][:, None] * (weights.T @ weights) * scales[1] / 10_000, counts, min_co_occurrence, 6
    )
    neighbours = run(workers)
    np.testing.assert_allclose(neighbours.scores / 10_000, expected.scores, rtol=1e-5, atol=1e-7)


@needs_numba
def test_compiled_and_interpreted_agree_to_the_last_digit() -> None:
    user_items = data.random(users=60, items=50, density=0.3, seed=2)
    slow = pairs.score_co_occurring(user_items, 7, engine=pairs.INTERPRETED)
    fast = pairs.score_co_occurring(user_items, 7, engine=pairs.compile_engine())
    for expected, compiled in zip(slow.arrays, fast.arrays, strict=True):
        assert np.array_equal(expected, compiled)


def test_work_is_counted_before_it_is_done() -> None:
    user_items = sparse.csr_array(np.array([[1.0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 0]]))
    assert pairs.count_pairs(user_items) == 9 + 4
    assert not pairs.worth_compiling(user_items)


@needs_numba
@pytest.mark.parametrize(
    ("score", "count", "item", "first"),
    [
        (0.6, 1, 9, True),
        (0.4, 9, 1, False),
        (0.5, 4, 9, True),
        (0.5, 2, 1, False),
        (0.5, 3, 6, True),
        (0.5, 3, 8, False),
    ],
)
def test_an_entry_ranks_by_score_then_count_then_index(score: float, count: int, item: int, first: bool) -> None:
    indices, counts = (np.full((1, 1), value, np.int32) for value in (7, 3))
    scores = np.full((1, 1), 0.5, np.float32)
    assert pair_kernels.ranks_before(score, count, item, 0, 0, indices, scores, counts) is first


def test_the_memory_of_scores_is_of_the_entries_and_of_each_worker_s_rows() -> None:
    # 32 bytes an entry; 16 and 12 for each neighbour an item and worker
    assert pairs.score_bytes(1_000, 10, 50, workers=2) == 32_000 + 616 * 20
    assert pairs.score_bytes(0, 10, 1, workers=1) == 280


def test_factors_improve_compiled_as_they_do_in_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    user_items = data.random(users=80, items=60, density=0.2, seed=3)
    settings = {"factors": 8, "regularisation": 0.5, "confidence": 4.0, "iterations": 3, "seed": 1}
    expected = als.als_factors(user_items, **settings)
    for kernel in (als.compile_kernel(), als_kernel.improve_rows):
        monkeypatch.setattr(als, "compile_kernel", lambda kernel=kernel: kernel)
        improved = als.als_factors(user_items, **settings, compiled_from=0)
        for factors, expected_factors in zip(improved, expected, strict=True):
            np.testing.assert_allclose(factors, expected_factors, rtol=1e-3, atol=1e-4)


def test_the_threshold_of_a_full_row_is_its_worst_score() -> None:
    # the second row is a bystander
    thresholds, sizes = np.full(2, 0.125, np.float32), np.zeros(2, np.int32)
    rows = Neighbours.none(2, 2)
    expected = [(0.5, 0.125), (0.25, 0.25), (0.25, 0.25), (0.75, 0.5), (0.625, 0.625)]
    for item, (score, threshold) in enumerate(expected):
        pair_kernels.push_heap(0, item, score, 1, thresholds, sizes, *rows.arrays)
        assert thresholds.tolist() == [threshold, 0.125]
    assert sorted(rows.scores[0].tolist()) == [0.625, 0.75]
    assert sizes.tolist() == [2, 0]
