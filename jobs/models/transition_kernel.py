"""The Numba kernel of transitions: plain Python with scalars, loops, arrays. ``jobs/models/pairs.py`` compiles it."""

import numpy as np

from jobs.models.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from jobs.models.pair_kernels import insert_sorted


def rank_transitions(
    first: int,
    last: int,
    min_co_occurrence: int,
    backward: float,
    halvings_per_hour: float,
    distance_weights: Float64Array,
    source: Float64Array,
    target: Float64Array,
    item_starts: Int64Array,
    item_events: Int64Array,
    items: Int32Array,
    rows: Int64Array,
    steps: Int64Array,
    hours: Float64Array,
    roots: Float64Array,
    starts: Int64Array,
    ends: Int64Array,
    sums: Float64Array,
    row_counts: Int32Array,
    last_rows: Int64Array,
    touched: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Fill the rows of the items ``first`` to ``last`` with the items that most often follow or precede them.

    The formula is that of ``jobs/models/transitions.py``.

    distance_weights : shape (window + 1,), by distance.  source, target : shape (n_items,).
    item_starts, item_events : the positions of each item's events as CSR, ascending.
    items, rows, steps, hours, roots : by event; ``roots`` are the square roots of the weights.
    starts, ends : by event, the range of the events within its window, itself included.
    sums, row_counts, touched : shape (n_items,), scratch; the first two are zeros on entry and on return.
    last_rows : shape (n_items,), scratch; −1 on entry and on return.
    """
    k = indices.shape[1]
    for item in range(first, last):
        n_touched = 0
        for entry in range(item_starts[item], item_starts[item + 1]):
            event = item_events[entry]
            row, step, hour, root = rows[event], steps[event], hours[event], roots[event]
            for position in range(starts[event], ends[event]):
                other = items[position]
                if other == item:
                    continue
                difference = steps[position] - step
                weight = root * roots[position] * distance_weights[abs(difference)]
                if difference < 0:
                    weight *= backward
                if halvings_per_hour > 0:
                    weight *= 2.0 ** -(abs(hours[position] - hour) * halvings_per_hour)
                if row_counts[other] == 0:
                    touched[n_touched] = other
                    n_touched += 1
                sums[other] += weight
                if last_rows[other] != row:
                    last_rows[other] = row
                    row_counts[other] += 1
        for place in range(n_touched):
            other = touched[place]
            # rounded to the precision in which it is stored, so that equal scores tie
            score = float(np.float32(sums[other] * source[item] * target[other]))
            count = row_counts[other]
            if score > 0 and count >= min_co_occurrence and not (sizes[item] == k and score < scores[item, k - 1]):
                insert_sorted(item, other, score, count, sizes, indices, scores, counts)
            sums[other] = 0.0
            row_counts[other] = 0
            last_rows[other] = -1
