"""Transitions: worked out by hand, and beside a plain reference that visits one pair of events at a time."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from jobs.models import pairs, transitions
from jobs.models.neighbours import Neighbours
from jobs.models.sequences import Sequences, sequences_of
from jobs.models.transitions import transitions_neighbours
from tests.unit.models.data import assert_alike

needs_numba = pytest.mark.skipif(not pairs.numba_installed(), reason="Numba has no wheel for this Python")
Event = tuple[int, int, float, float]
# every factor off but the distance
PLAIN: dict[str, Any] = {
    "distance_power": 1.0,
    "gap_half_life_hours": None,
    "backward": 0.5,
    "source_power": 0.0,
    "target_power": 0.0,
    "min_co_occurrence": 1,
}


def sequences(events: Sequence[Event], n_items: int) -> Sequences:
    """Return the sequences of events given as row, item, hour and weight."""
    columns = np.array(events, dtype=np.float64).reshape(-1, 4).T
    return sequences_of(columns[0].astype(np.int64), columns[1].astype(np.int32), columns[2], columns[3], n_items)


def scores_of(neighbours: Neighbours) -> dict[tuple[int, int], float]:
    """Return the score of each pair that is stored."""
    return {
        (item, int(other)): float(score)
        for item, (others, scores) in enumerate(zip(neighbours.indices, neighbours.scores, strict=True))
        for other, score in zip(others, scores, strict=True)
        if other >= 0
    }


def fit(events: Sequence[Event], n_items: int = 4, **parameters: Any) -> dict[tuple[int, int], float]:
    """Fit with PLAIN parameters but for those given, and return the scores of the pairs."""
    return scores_of(transitions_neighbours(sequences(events, n_items), 5, **{**PLAIN, "window": 3, **parameters}))


@pytest.fixture(params=["NumPy", "interpreted", pytest.param("compiled", marks=needs_numba)])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Rank on one of the ways that there are, however few the events."""
    with monkeypatch.context() as patched:
        if request.param != "NumPy":
            engine = pairs.INTERPRETED if request.param == "interpreted" else pairs.compile_engine()
            patched.setattr(pairs, "numba_installed", lambda: True)
            patched.setattr(pairs, "compile_engine", lambda: engine)
            patched.setattr(transitions, "MIN_COMPILED_PAIRS", 0)
        yield request.param


@pytest.mark.usefixtures("path")
def test_worked_out_by_hand() -> None:
    """User 0 meets 0, 1 and 2 at hours 0, 1 and 3; user 1 meets 1 and 2 in the same hour.

    With half-lives of 1 hour and half the weight backwards, by pair of events and user:

    0 → 1: 1 · 2^−1 = 0.5; 1 → 0: half of it. 0 → 2, two steps: ½ · 2^−3 = 0.0625; 2 → 0: half of it.
    1 → 2: 1 · 2^−2 = 0.25 of user 0 and 1 of user 1; 2 → 1: 0.125 and 1, since neither is before the other.
    """
    events = [(0, 0, 0.0, 1.0), (0, 1, 1.0, 1.0), (0, 2, 3.0, 1.0), (1, 2, 7.0, 1.0), (1, 1, 7.0, 1.0)]
    expected = {(0, 1): 0.5, (1, 0): 0.25, (0, 2): 0.0625, (2, 0): 0.03125, (1, 2): 1.25, (2, 1): 1.125}
    given = fit(events, gap_half_life_hours=1.0)
    assert given == pytest.approx({pair: score / 1.25 for pair, score in expected.items()}, rel=1e-6)
    # popularity is 1, 2 and 2: source^1, and target^2 for the shares to differ
    shares = {pair: score / (1, 2, 2)[pair[0]] / (1, 4, 4)[pair[1]] for pair, score in expected.items()}
    greatest = max(shares.values())
    given = fit(events, gap_half_life_hours=1.0, source_power=1.0, target_power=2.0)
    assert given == pytest.approx({pair: score / greatest for pair, score in shares.items()}, rel=1e-6)


@pytest.mark.usefixtures("path")
def test_a_pair_weighs_the_root_of_both_weights() -> None:
    given = fit([(0, 0, 0.0, 0.25), (0, 1, 1.0, 1.0), (1, 2, 0.0, 1.0), (1, 3, 1.0, 1.0)])
    assert given == pytest.approx({(0, 1): 0.5, (1, 0): 0.25, (2, 3): 1.0, (3, 2): 0.5})


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize(("window", "pairs_within"), [(1, 3), (2, 5), (3, 6), (30, 6)])
def test_the_window_is_a_number_of_steps_and_ends_with_the_row(window: int, pairs_within: int) -> None:
    events = [(0, item, float(item), 1.0) for item in range(4)]
    given = fit([*events, (1, 4, 9.0, 1.0)], n_items=5, window=window, backward=0.0)
    assert set(given) == {(first, last) for first in range(4) for last in range(first + 1, min(first + window, 3) + 1)}
    assert len(given) == pairs_within


@pytest.mark.usefixtures("path")
def test_repeats_in_a_row_count_once_and_take_no_distance() -> None:
    run = [(0, 0, 0.0, 1.0), (0, 1, 1.0, 1.0), (0, 1, 2.0, 1.0), (0, 1, 3.0, 1.0), (0, 2, 4.0, 1.0)]
    assert fit(run) == fit([run[0], *run[3:]])
    assert fit(run)[0, 2] == pytest.approx(0.5)


@pytest.mark.usefixtures("path")
def test_counts_are_the_rows_with_the_pair_within_the_window_each_once() -> None:
    there_and_back = [(0, item, float(hour), 1.0) for hour, item in enumerate((0, 1, 0, 1))]
    far = [(1, item, float(hour), 1.0) for hour, item in enumerate((0, 2, 3, 1))]
    given = transitions_neighbours(sequences([*there_and_back, *far], 4), 3, **{**PLAIN, "window": 2})
    assert given.indices[0].tolist() == [1, 2, 3]
    assert given.co_occurrence[0].tolist() == [1, 1, 1]
    given = transitions_neighbours(
        sequences([*there_and_back, *far], 4), 3, **{**PLAIN, "window": 3, "min_co_occurrence": 2}
    )
    assert given.co_occurrence.tolist() == [[2, 0, 0], [2, 0, 0], [0, 0, 0], [0, 0, 0]]


@pytest.mark.usefixtures("path")
def test_with_no_share_for_what_precedes_only_what_follows_is_a_neighbour() -> None:
    assert fit([(0, 0, 0.0, 1.0), (0, 1, 1.0, 1.0)], backward=0.0) == {(0, 1): 1.0}
    # neither of two at one time precedes the other
    assert fit([(0, 0, 0.0, 1.0), (0, 1, 0.0, 1.0)], backward=0.0) == {(0, 1): 1.0, (1, 0): 1.0}


@pytest.mark.usefixtures("path")
def test_a_gap_of_many_half_lives_leaves_no_neighbour() -> None:
    events = [(0, 0, 0.0, 1.0), (0, 1, 9_000.0, 1.0), (0, 2, 9_000.25, 1.0)]
    assert set(fit(events, gap_half_life_hours=0.25)) == {(1, 2), (2, 1)}


def reference(events: Sequence[Event], n_items: int, k: int, **parameters: Any) -> Neighbours:
    """Return the neighbours by visiting each pair of events, in lists and dictionaries only."""
    by_row: dict[int, dict[float, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for row, item, hour, weight in events:
        moment = by_row[row][hour]
        moment[item] = max(weight, moment.get(item, 0.0))
    sums: dict[tuple[int, int], float] = defaultdict(float)
    rows: dict[tuple[int, int], set[int]] = defaultdict(set)
    popularity = [0.0] * n_items
    for row, moments in by_row.items():
        steps: list[tuple[float, dict[int, float]]] = []
        for hour in sorted(moments):
            moment = moments[hour]
            if steps and len(moment) == 1 and moment.keys() == steps[-1][1].keys():
                item = next(iter(moment))
                steps[-1] = (hour, {item: max(moment[item], steps[-1][1][item])})
            else:
                steps.append((hour, moment))
        for place, (hour, moment) in enumerate(steps):
            for item, weight in moment.items():
                popularity[item] += weight
                for other_place, (other_hour, other_moment) in enumerate(steps):
                    distance = abs(other_place - place)
                    direction = parameters["backward"] if other_place < place else 1.0
                    if distance > parameters["window"] or direction == 0:
                        continue
                    value = direction * max(distance, 1) ** -parameters["distance_power"]
                    if parameters["gap_half_life_hours"]:
                        value *= 2 ** -(abs(other_hour - hour) / parameters["gap_half_life_hours"])
                    for other, other_weight in other_moment.items():
                        if other != item:
                            sums[item, other] += value * (weight * other_weight) ** 0.5
                            rows[item, other].add(row)
    scored = {
        (item, other): total
        * popularity[item] ** -parameters["source_power"]
        * popularity[other] ** -parameters["target_power"]
        for (item, other), total in sums.items()
        if len(rows[item, other]) >= parameters["min_co_occurrence"]
    }
    greatest = max(scored.values(), default=1.0)
    neighbours = Neighbours.none(n_items, k)
    for item in range(n_items):
        others = [other for source, other in scored if source == item]
        others.sort(key=lambda other: (-np.float32(scored[item, other]), -len(rows[item, other]), other))
        for place, other in enumerate(others[:k]):
            neighbours.indices[item, place] = other
            neighbours.scores[item, place] = scored[item, other] / greatest
            neighbours.co_occurrence[item, place] = len(rows[item, other])
    return neighbours


GRID: list[dict[str, Any]] = [
    {"window": window, "distance_power": power, "gap_half_life_hours": half_life, "backward": backward}
    | {"source_power": source, "target_power": target, "min_co_occurrence": least}
    for window, power, half_life, backward, source, target, least in [
        (1, 0.0, None, 0.0, 0.0, 0.0, 1),
        (2, 0.5, 0.25, 0.3, 0.5, 0.2, 1),
        (5, 1.0, 24.0, 1.0, 1.0, 0.6, 2),
        (30, 1.0, 168.0, 0.3, 0.0, 0.4, 1),
        (10, 0.5, 720.0, 0.0, 0.5, 0.0, 3),
    ]
]


def random_events(seed: int, *, rows: int = 25, n_items: int = 12, events: int = 300) -> list[Event]:
    """Return events with ties of time, repeats in a row and weights of three sizes."""
    random = np.random.default_rng(seed)
    return [
        (
            int(random.integers(rows)),
            int(random.integers(n_items)),
            float(random.integers(40)) / 4,
            float(random.choice((0.25, 0.5, 1))),
        )
        for _ in range(events)
    ]


@pytest.mark.usefixtures("path")
@pytest.mark.parametrize("parameters", GRID)
@pytest.mark.parametrize("seed", range(4))
def test_the_best_are_those_of_the_plain_reference(parameters: dict[str, Any], seed: int) -> None:
    events = random_events(seed)
    expected = reference(events, 12, 6, **parameters)
    assert_alike(transitions_neighbours(sequences(events, 12), 6, **parameters), expected)


@pytest.mark.parametrize("block_pairs", [1, 40, 1_000])
def test_the_size_of_the_blocks_changes_nothing(block_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = sequences(random_events(5), 15)
    expected = transitions_neighbours(given, 6)
    monkeypatch.setattr(transitions, "BLOCK_PAIRS", block_pairs)
    for found, whole in zip(transitions_neighbours(given, 6).arrays, expected.arrays, strict=True):
        assert np.array_equal(found, whole)


@needs_numba
def test_the_kernel_runs_from_the_number_of_pairs_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    given = sequences([(0, item, float(item), 1.0) for item in range(4)], 4)
    # by window 1: two for the ends and three for the others, themselves included
    n_pairs = 2 * 2 + 2 * 3
    used = []
    monkeypatch.setattr(transitions, "_rank_compiled", lambda *_: used.append(1))
    for least in (n_pairs + 1, n_pairs, n_pairs - 1):
        monkeypatch.setattr(transitions, "MIN_COMPILED_PAIRS", least)
        transitions_neighbours(given, 2, window=1)
    assert len(used) == 2


def test_an_event_of_another_user_changes_no_order(path: str) -> None:
    """Users who lie next to each other in memory are further apart than the greatest window."""
    alone = fit([(0, 0, 0.0, 1.0), (0, 1, 1.0, 1.0)], window=30)
    beside = fit([(0, 0, 0.0, 1.0), (0, 1, 1.0, 1.0), (1, 2, 0.0, 1.0), (2, 3, 0.0, 1.0)], window=30)
    assert alone == beside, path


@pytest.mark.parametrize(
    "parameters",
    [
        {"window": 0},
        {"min_co_occurrence": 0},
        {"distance_power": -0.1},
        {"source_power": -0.1},
        {"target_power": -0.1},
        {"backward": -0.1},
        {"backward": 1.1},
        {"gap_half_life_hours": 0.0},
        {"gap_half_life_hours": -1.0},
    ],
)
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters)).split("_")[-1].replace("power", "powers")):
        transitions_neighbours(sequences([(0, 0, 0.0, 1.0)], 2), 3, **parameters)


def test_a_shop_where_all_users_take_one_path_leads_along_it() -> None:
    path = list(range(8))
    events = [(user, item, float(place), 1.0) for user in range(10) for place, item in enumerate(path)]
    neighbours = transitions_neighbours(sequences(events, 8), 3)
    for item, following in pairwise(path):
        assert neighbours.indices[item, 0] == following
