"""Assigns items to tasks, so that every pair of items meets in at least one task, and few pairs in several.

Items form q² groups, the points of the affine plane of prime order q; its q² + q lines are the tasks. Two points lie on
exactly one line, so two groups meet in exactly one task. A task has q groups, that is, 1/q of the items. Pairs of items
within a group meet in q + 1 tasks, so all tasks together take 1 + 1/q times the work of one machine. A task for each
pair of groups would take nearly twice the work (docs/decisions/0077-spark.md).
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from jobs.models.arrays import Float64Array, Int32Array, Int64Array
from jobs.models.pairs import score_bytes

# Orders of planes: primes, and 1, whose only task has all items.
ORDERS: Final = (1, 2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
# The size of an event of a sequence in units of an entry of a matrix, for choosing the order of the blocks.
EVENT_ENTRIES: Final = 3
# The memory that the loops of a task may take (about 4 GB including its tables), and the number of multiplications in
# them, which take half a minute of one processor.
TASK_BYTES: Final[int] = 1_000_000_000
TASK_PAIRS: Final = 20e9
# The share of ``most_entries`` that is planned for.
CAPACITY_SHARE: Final = 0.9


@dataclass(frozen=True)
class Blocks:
    """Items in groups, and groups in tasks.

    Attributes
    ----------
    groups : int32, shape (n_items,), the group of each item.
    tasks : int32, shape (n_groups, q + 1), the tasks of each group; (1, 1) for the order 1.
    """

    groups: Int32Array
    tasks: Int32Array

    @property
    def n_tasks(self) -> int:
        """The number of tasks."""
        return int(self.tasks.max()) + 1

    def spread(self, items: Int32Array) -> tuple[Int64Array, Int32Array]:
        """Return positions in ``items`` and tasks, with one entry for each task of each item."""
        tasks = self.tasks[self.groups[items]]
        return np.repeat(np.arange(len(items)), tasks.shape[1]), tasks.ravel()


def choose_order(
    n_pairs: float, n_entries: int, n_items: int, k: int, task_bytes: int = TASK_BYTES, task_pairs: float = TASK_PAIRS
) -> int:
    """Return the least order with which each task stays within ``task_bytes`` and ``task_pairs``.

    n_pairs : number of multiplications in XᵀX.  n_entries, n_items : of the matrix X.  k : neighbours per item.

    Raises ValueError if no order is large enough.
    """
    for order in ORDERS:
        pairs, n_bytes = n_pairs / order**2, score_bytes(n_entries // order, -(-n_items // order), k, workers=1)
        if pairs <= task_pairs and n_bytes <= task_bytes:
            return order
    raise ValueError(
        f"{n_pairs:.3g} multiplications or {n_entries:,} entries exceed {ORDERS[-1] ** 2 + ORDERS[-1]:,} tasks"
    )


def most_entries(n_items: int, k: int, task_bytes: int = TASK_BYTES) -> int:
    """Return the most entries with which the tasks of the largest order stay within ``task_bytes``."""
    order = ORDERS[-1]
    of_items, of_entry = score_bytes(0, -(-n_items // order), k, workers=1), score_bytes(1, 0, k, workers=1)
    return max(0, task_bytes - of_items) // of_entry * order


def choose_sample(n_events: float, n_items: int, k: int) -> int:
    """Return n, so that a batch can train any model on the events of one user in n; their number may be an estimate.

    Models that do not need the order of events could train three times as many, but exporting those takes too long.
    """
    capacity = CAPACITY_SHARE * max(1, most_entries(n_items, k))
    return max(1, math.ceil(n_events * EVENT_ENTRIES / capacity))


def plan_blocks(work: Float64Array, order: int) -> Blocks:
    """Return the blocks of a plane. Each group gets about the same work.

    work : shape (n_items,), the work for each item: the total number of entries in its rows.
    order : an entry of ORDERS.
    """
    if order not in ORDERS:
        raise ValueError(f"the order must be one of {', '.join(map(str, ORDERS))}")
    return Blocks(_deal(work, order**2), _lines(order))


def _deal(work: Float64Array, n_groups: int) -> Int32Array:
    """Deal items to groups in rounds, heaviest first; each round begins with the group that has the least work."""
    groups = np.zeros(len(work), np.int32)
    order = np.argsort(-work, kind="stable")
    totals = np.zeros(n_groups)
    for first in range(0, len(order), n_groups):
        items = order[first : first + n_groups]
        lightest = np.argsort(totals, kind="stable")[: len(items)]
        groups[items] = lightest
        totals[lightest] += work[items]
    return groups


def _lines(order: int) -> Int32Array:
    """Return the lines through each point of the plane: y = slope · x + intercept for each slope, and the vertical."""
    if order == 1:
        return np.zeros((1, 1), np.int32)
    x, y = np.divmod(np.arange(order**2), order)
    slopes = np.arange(order)
    sloping = slopes * order + (y[:, None] - slopes * x[:, None]) % order
    return np.column_stack([sloping, order**2 + x]).astype(np.int32)
