"""What models learn from: how much an event's type, age and repetition count, and where a user's history is split."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from jobs.data.history import DAY, History
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.models.sequences import Sequences, sequences_of

# an event keeps at least 2^-20 of its weight: a weight of 0 would remove its pair from the matrix
MAX_HALVINGS: Final = 20
# The most items of a row, since its work grows with their square. A row with more keeps those of the greatest weight.
MAX_ROW_ITEMS: Final = 10_000
MINUTE: Final = np.timedelta64(60_000_000, "us")
HOUR: Final = 60 * MINUTE


@dataclass(frozen=True)
class Weighting:
    """How a history becomes the input of a model.

    Attributes
    ----------
    half_life_days : age at which an event counts half, in days; None to ignore age.
    weight_power : power of the event type's weight, in [0, 1]; 0 treats all types alike.
    repeated : how several events of the same row and item are combined: their greatest weight ("once"), log2(1 + their
        sum) ("log"), or their sum ("sum"). Models of sequences do not combine them.
    session_gap_minutes : pause that splits a user's history into sessions, each of which is a row; "common users" of
        two items are then sessions. None if each user is one row.
    """

    half_life_days: float | None = None
    weight_power: float = 0.5
    repeated: str = "once"
    session_gap_minutes: float | None = None


def training_matrix(
    history: History, now: np.datetime64, weighting: Weighting, heaviest: float | None = None
) -> Matrix:
    """Return the weights of rows and items, with ages counted back from ``now``.

    The shape is (n_users, n_items), or (n_sessions, n_items) with ``session_gap_minutes``. A new event of the heaviest
    type has weight 1; see ``event_weights``. A row keeps its MAX_ROW_ITEMS greatest weights; ties go to the lower item
    codes.
    """
    n_items = len(history.product_ids)
    rows, n_rows = split_rows(history, weighting.session_gap_minutes)
    if len(history) == 0:
        return sparse.csr_array((n_rows, n_items), dtype=np.float64)
    weights = event_weights(history, now, weighting, heaviest)
    keys = rows * n_items + history.items
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    if weighting.repeated == "log":
        values = np.log2(1.0 + np.add.reduceat(weights, first))
    elif weighting.repeated == "sum":
        values = np.add.reduceat(weights, first)
    else:
        values = np.maximum.reduceat(weights, first)
    entry_rows, entry_items = keys[first] // n_items, keys[first] % n_items
    kept = _without_surplus(entry_rows, values, n_rows)
    return sparse.csr_array((values[kept], (entry_rows[kept], entry_items[kept])), shape=(n_rows, n_items))


def _without_surplus(rows: Int64Array, values: Float64Array, n_rows: int) -> Int64Array | slice:
    """Return the positions, ascending, of the entries that their rows keep. Entries are sorted by row, then item."""
    if np.bincount(rows, minlength=n_rows).max(initial=0) <= MAX_ROW_ITEMS:
        # the usual case, without copies
        return slice(None)
    order = np.lexsort((-values, rows))
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept: Int64Array = np.sort(order[places < MAX_ROW_ITEMS])
    return kept


def training_sequences(
    history: History, now: np.datetime64, weighting: Weighting, heaviest: float | None = None
) -> Sequences:
    """Return each row's events in order, with weights as in ``training_matrix``.

    A row keeps all its events: its work grows only with their number times the window.
    """
    rows, _ = split_rows(history, weighting.session_gap_minutes)
    hours = np.asarray((history.times - now) / HOUR, np.float64)
    weights = event_weights(history, now, weighting, heaviest)
    return sequences_of(rows, history.items, hours, weights, len(history.product_ids))


def event_weights(
    history: History, now: np.datetime64, weighting: Weighting, heaviest: float | None = None
) -> Float64Array:
    """Return each event's weight by its type and its age at ``now``, shape (n_events,), in (0, 1].

    heaviest : the greatest weight of an event, which becomes 1; that of ``history`` if omitted. To be given for a part
        of a shop's history, which may not contain it.
    """
    if len(history) == 0:
        return np.empty(0)
    greatest = history.weights.max() if heaviest is None else np.float32(heaviest)
    weights = (history.weights.astype(np.float64) / greatest) ** weighting.weight_power
    if weighting.half_life_days is not None:
        ages = np.maximum((now - history.times) / DAY, 0)
        weights *= 2.0 ** -np.minimum(ages / weighting.half_life_days, MAX_HALVINGS)
    return np.asarray(weights, np.float64)


def split_rows(history: History, gap_minutes: float | None) -> tuple[Int64Array, int]:
    """Return the row of each event, shape (n_events,), and the number of rows.

    Rows are users; with ``gap_minutes`` they are sessions, sorted by user, then time. A session ends if the user's next
    event is later by more than the gap.
    """
    if gap_minutes is None:
        return history.users.astype(np.int64), len(history.user_ids)
    if len(history) == 0:
        return np.empty(0, np.int64), 0
    order = np.lexsort((history.times, history.users))
    users, times = history.users[order], history.times[order]
    starts = np.append(True, (users[1:] != users[:-1]) | ((times[1:] - times[:-1]) / MINUTE > gap_minutes))
    rows = np.empty(len(history), np.int64)
    rows[order] = np.cumsum(starts) - 1
    return rows, int(starts.sum())
