"""The input of models that learn from the order of events: what each user did, in order of time."""

from dataclasses import dataclass

import numpy as np

from jobs.models.arrays import Float64Array, Int32Array, Int64Array, IntArray


@dataclass(frozen=True)
class Sequences:
    """Events by user, then time, then item. A row is a user, or one of the user's sessions.

    Events of one row at the same time share a step: their order is unknown. An item occurs at most once in a step.

    Attributes
    ----------
    n_items : number of items, with and without events.
    rows : int64, shape (n_events,), ascending.
    steps : int64, shape (n_events,), 0 for the first time of a row, ascending within it.
    items : int32, shape (n_events,).
    hours : float64, shape (n_events,), times in hours since an arbitrary fixed time.
    weights : float64, shape (n_events,), above 0.
    """

    n_items: int
    rows: Int64Array
    steps: Int64Array
    items: Int32Array
    hours: Float64Array
    weights: Float64Array

    def __len__(self) -> int:
        return len(self.items)


def sequences_of(
    rows: IntArray, items: IntArray, hours: Float64Array, weights: Float64Array, n_items: int
) -> Sequences:
    """Return the sequences of events in any order; all arrays of shape (n_events,).

    Events of the same row, time and item become one event, with the greatest of their weights. So do consecutive
    repeats of an item in a row, with nothing between them or at the same time. That event has the time of the last
    repeat, from which the gap to the next event is measured. Events of weight 0 are ignored.

    Raises ValueError if a weight is negative or not finite.
    """
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise ValueError("weights must be finite and at least 0")
    present = np.flatnonzero(weights > 0)
    order = present[np.lexsort((items[present], hours[present], rows[present]))]
    rows, items, hours, weights = rows[order], items[order], hours[order], weights[order]
    new_row = _changes(rows)
    new_moment = new_row | _changes(hours)
    starts_event = new_moment | _changes(items)
    # an event that is alone at its time repeats the one before it if that is alone as well and has the same item
    first = np.flatnonzero(starts_event)
    moment_of_event = np.cumsum(new_moment[first]) - 1
    is_alone = (np.bincount(moment_of_event) == 1)[moment_of_event]
    previous = np.maximum(np.arange(len(first)) - 1, 0)
    repeats = (
        ~new_row[first] & new_moment[first] & is_alone & is_alone[previous] & (items[first] == items[first[previous]])
    )
    # an event and its repeats become one: the group begins at ``kept`` and ends before the next
    kept = first[~repeats]
    ends = np.append(kept[1:], len(rows))[: len(kept)] - 1
    new_step = new_moment[kept]
    steps = np.cumsum(new_step) - 1
    row_starts = np.flatnonzero(new_row[kept])
    steps -= np.repeat(steps[row_starts], np.diff(np.append(row_starts, len(kept))))
    return Sequences(
        n_items,
        rows[kept].astype(np.int64),
        steps.astype(np.int64),
        items[kept].astype(np.int32),
        hours[ends],
        np.maximum.reduceat(weights, kept) if len(kept) else weights,
    )


def _changes(values: IntArray | Float64Array) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return a mask of the values that differ from the one before; the first value counts as different."""
    return np.append(True, values[1:] != values[:-1]) if len(values) else np.zeros(0, np.bool_)
