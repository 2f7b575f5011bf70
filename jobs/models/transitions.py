"""Transitions: the items that users go on to, weighted by how soon they follow in their histories."""

from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

import numpy as np

from jobs.models import pairs
from jobs.models.arrays import Float64Array, Int32Array, Int64Array
from jobs.models.blocks import scale_scores
from jobs.models.neighbours import Neighbours
from jobs.models.sequences import Sequences
from jobs.models.topk import fill_top_k

# Compiling pays off from this many pairs of events: NumPy takes about as long for them.
MIN_COMPILED_PAIRS: Final = 2_000_000
# Items in each batch that a thread processes.
BATCH_ITEMS: Final = 256
# Pairs of events that NumPy holds at once; each takes about 100 bytes at the peak.
BLOCK_PAIRS: Final = 1_000_000


class _Rule(NamedTuple):
    """The weighting of pairs of events, in the order of the kernel's parameters.

    distance_weights : shape (window + 1,), by distance.  source, target : shape (n_items,), the factors of the items.
    """

    min_co_occurrence: int
    backward: float
    halvings_per_hour: float
    distance_weights: Float64Array
    source: Float64Array
    target: Float64Array


class _Events(NamedTuple):
    """Events by position, and the positions of each item's events as CSR, in the order of the kernel's parameters.

    steps : offset so that different rows are further apart than the window.  roots : square roots of the weights.
    starts, ends : the range of the events within an event's window, itself included.
    """

    item_starts: Int64Array
    item_events: Int64Array
    items: Int32Array
    rows: Int64Array
    steps: Int64Array
    hours: Float64Array
    roots: Float64Array
    starts: Int64Array
    ends: Int64Array


def transitions_neighbours(
    sequences: Sequences,
    k: int,
    *,
    window: int = 10,
    distance_power: float = 0.5,
    gap_half_life_hours: float | None = None,
    backward: float = 0.3,
    source_power: float = 0.5,
    target_power: float = 0.2,
    min_co_occurrence: int = 2,
) -> Neighbours:
    """Find the items that follow each item soonest and most often and, with less weight, those that precede it.

    These are the sequential rules of Ludewig and Jannach (UMUAI 2018), extended to both directions, to the time between
    two events, and by RP3beta's discount of popular items:

        s(i, j) = popularity_i^(−source_power) · popularity_j^(−target_power) · Σ direction · distance^(−distance_power)
                  · 2^(−gap / half-life) · √(weight_a · weight_b)

    The sum is over all events a of i and b of j in the same row, at most ``window`` steps apart. The distance is in
    steps, and 1 within a step. ``direction`` is ``backward`` if b is before a, and otherwise 1. The popularity of an
    item is the sum of its events' weights. All scores are divided by the greatest.

    Parameters
    ----------
    sequences : weights above 0; see ``sequences_of``.
    k : neighbours per item, at least 1.
    window : greatest distance, at least 1.
    distance_power : at least 0; 0 weights all distances alike.
    gap_half_life_hours : time between two events that halves their weight, above 0; None to ignore that time.
    backward : in [0, 1]; with 0, an item that never follows is no neighbour.
    source_power, target_power : at least 0.
    min_co_occurrence : pairs that occur within the window in fewer rows are not neighbours.

    Returns
    -------
    Neighbours of shape (n_items, k). ``co_occurrence`` is the number of rows with the pair within the window: all rows
    with both items, if no row is longer than the window.

    Raises ValueError if a parameter is out of range. Time: pairs of events within the window, at most twice
    ``pairs.count_pairs``, compiled where there are many. Memory: 80 bytes per event, and (24 + 12 · k) bytes × n_items.
    """
    if k < 1 or window < 1 or min_co_occurrence < 1:
        raise ValueError("k, window and min_co_occurrence must be at least 1")
    if distance_power < 0 or source_power < 0 or target_power < 0 or not 0 <= backward <= 1:
        raise ValueError("powers must be at least 0, and backward in [0, 1]")
    if gap_half_life_hours is not None and not gap_half_life_hours > 0:
        raise ValueError("gap_half_life_hours must be above 0")
    popularity = np.bincount(sequences.items, weights=sequences.weights, minlength=sequences.n_items).astype(np.float64)
    source, target = popularity_factors(popularity, source_power, target_power)
    return scale_scores(
        rank_sequences(
            sequences,
            k,
            source,
            target,
            window=window,
            distance_power=distance_power,
            gap_half_life_hours=gap_half_life_hours,
            backward=backward,
            min_co_occurrence=min_co_occurrence,
        )
    )


def popularity_factors(
    popularity: Float64Array, source_power: float, target_power: float
) -> tuple[Float64Array, Float64Array]:
    """Return each item's factors as the start and as the end of a transition, from its sum of weights."""
    weights = np.where(popularity == 0, 1.0, popularity)
    return np.asarray(weights**-source_power, np.float64), np.asarray(weights**-target_power, np.float64)


def rank_sequences(
    sequences: Sequences,
    k: int,
    source: Float64Array,
    target: Float64Array,
    *,
    window: int,
    distance_power: float,
    gap_half_life_hours: float | None,
    backward: float,
    min_co_occurrence: int,
    compiled: bool | None = None,
    workers: int | None = None,
) -> Neighbours:
    """Return the neighbours of ``transitions_neighbours`` with unscaled scores.

    source, target : the factors of the items, shape (n_items,).
    compiled : whether the loops are compiled; by default, if there are enough pairs of events for it to pay off.
    workers : threads of the compiled loops; all processors by default.
    """
    rule = _Rule(
        min_co_occurrence,
        backward,
        0.0 if gap_half_life_hours is None else 1.0 / gap_half_life_hours,
        np.maximum(np.arange(window + 1.0), 1.0) ** -distance_power,
        source,
        target,
    )
    # offset steps so that different rows are further apart than the window
    steps = sequences.steps + sequences.rows * (int(sequences.steps.max(initial=0)) + window + 1)
    item_counts = np.bincount(sequences.items, minlength=sequences.n_items)
    events = _Events(
        np.concatenate(([0], np.cumsum(item_counts))),
        np.argsort(sequences.items, kind="stable"),
        sequences.items,
        sequences.rows,
        steps,
        sequences.hours,
        np.sqrt(sequences.weights),
        np.searchsorted(steps, steps - (window if backward > 0 else 0), side="left"),
        np.searchsorted(steps, steps + window, side="right"),
    )
    neighbours = Neighbours.none(sequences.n_items, k)
    if compiled is None:
        compiled = pairs.numba_installed() and int((events.ends - events.starts).sum()) >= MIN_COMPILED_PAIRS
    if compiled:
        _rank_compiled(events, rule, neighbours, workers or pairs.count_threads())
    else:
        _rank_in_blocks(events, rule, neighbours)
    return neighbours


def _rank_compiled(events: _Events, rule: _Rule, neighbours: Neighbours, workers: int) -> None:
    """Fill ``neighbours`` with the kernel, in threads."""
    n_items = len(neighbours.indices)
    kernel, sizes = pairs.compile_engine().rank_transitions, np.zeros(n_items, np.int32)

    def rank_batch(first: int) -> None:
        scratch = (
            np.zeros(n_items),
            np.zeros(n_items, np.int32),
            np.full(n_items, -1, np.int64),
            np.empty(n_items, np.int32),
        )
        last = min(first + BATCH_ITEMS, n_items)
        kernel(first, last, *rule, *events, *scratch, sizes, *neighbours.arrays)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(rank_batch, range(0, n_items, BATCH_ITEMS)))


def _rank_in_blocks(events: _Events, rule: _Rule, neighbours: Neighbours) -> None:
    """Fill ``neighbours`` with NumPy, about BLOCK_PAIRS pairs of events at a time, but at least those of one item."""
    n_items = len(neighbours.indices)
    widths = (events.ends - events.starts)[events.item_events]
    pairs_before = np.concatenate(([0], np.cumsum(widths)))[events.item_starts]
    first = 0
    while first < n_items:
        last = int(np.searchsorted(pairs_before, pairs_before[first] + BLOCK_PAIRS, side="right")) - 1
        last = min(max(last, first + 1), n_items)
        _rank_block(events, rule, first, last, neighbours)
        first = last


def _rank_block(events: _Events, rule: _Rule, first: int, last: int, neighbours: Neighbours) -> None:
    n_items = len(neighbours.indices)
    sources = events.item_events[events.item_starts[first] : events.item_starts[last]]
    widths = events.ends[sources] - events.starts[sources]
    source = np.repeat(sources, widths)
    offsets = np.arange(len(source)) - np.repeat(np.cumsum(widths) - widths, widths)
    other = events.starts[source] + offsets
    is_other = events.items[source] != events.items[other]
    source, other = source[is_other], other[is_other]
    differences = events.steps[other] - events.steps[source]
    weights = events.roots[source] * events.roots[other] * rule.distance_weights[np.abs(differences)]
    weights[differences < 0] *= rule.backward
    if rule.halvings_per_hour > 0:
        weights *= 2.0 ** -(np.abs(events.hours[other] - events.hours[source]) * rule.halvings_per_hour)
    keys = (events.items[source] - first).astype(np.int64) * n_items + events.items[other]
    distinct, pair_of = np.unique(keys, return_inverse=True)
    sums = np.bincount(pair_of, weights=weights, minlength=len(distinct))
    # each row counts once for a pair: its first occurrence in the pair's order
    order = np.lexsort((events.rows[source], pair_of))
    ordered_pairs, ordered_rows = pair_of[order], events.rows[source][order]
    is_new = np.append(True, (ordered_pairs[1:] != ordered_pairs[:-1]) | (ordered_rows[1:] != ordered_rows[:-1]))
    counts = np.bincount(ordered_pairs[is_new[: len(order)]], minlength=len(distinct))
    rows, columns = distinct // n_items, distinct % n_items
    scores = (sums * rule.source[first + rows] * rule.target[columns]).astype(np.float32)
    keep = (scores > 0) & (counts >= rule.min_co_occurrence)
    indptr = np.concatenate(([0], np.cumsum(np.bincount(rows[keep], minlength=last - first))))
    fill_top_k(neighbours, first, indptr, columns[keep], scores[keep], counts[keep].astype(np.int32))
