"""Temporal splits of a history: the events that models learn from, and the products to be recommended."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from jobs.data.history import DAY, History, history_of
from jobs.models.arrays import BoolArray, Int64Array, Matrix
from shared.domain.events import EVENT_WEIGHTS, EventType

# Held-out events of at least this weight make a product relevant: additions to the cart and purchases.
RELEVANT_WEIGHT: Final = min(EVENT_WEIGHTS[EventType.ADD_TO_CART], EVENT_WEIGHTS[EventType.PURCHASE])
# A file of held-out events holds out the last days of a history if at most this share of the history is as late as the
# file's first event.
OVERLAP_MAX: Final = 0.1


class NothingToMeasure(ValueError):
    """The split leaves no user who has both events to learn from and a relevant product."""


@dataclass(frozen=True)
class Split:
    """A history cut in time.

    Attributes
    ----------
    train : events before the cut, in the codes of the whole history.
    now : the time of the cut, from which ages count back.
    users : int64, shape (n_test,), codes, ascending, of the users with events before the cut and relevant products.
    relevant : shape (n_users, n_items), 1 where a user added a product to the cart or bought it after the cut.
    known_items : bool, shape (n_items,), products with an event before the cut: only these can be recommended.
    new_only : whether only products that a user did not meet before the cut are relevant.
    held_out : events after the cut, of all users and kinds, in the codes of the whole history.
    """

    train: History
    now: np.datetime64
    users: Int64Array
    relevant: Matrix
    known_items: BoolArray
    new_only: bool
    held_out: History


def select_events(history: History, mask: BoolArray) -> History:
    """Return the events for which ``mask``, shape (n_events,), is true, in the same codes."""
    return History(
        history.user_ids,
        history.product_ids,
        history.users[mask],
        history.items[mask],
        history.weights[mask],
        history.times[mask],
    )


def _user_item_pairs(history: History) -> Matrix:
    """Return 1 where a user has an event with a product, shape (n_users, n_items)."""
    shape = (len(history.user_ids), len(history.product_ids))
    pairs = sparse.csr_array((np.ones(len(history)), (history.users, history.items)), shape=shape)
    pairs.data[:] = 1
    return pairs


def split_by_mask(history: History, held_out: BoolArray, *, new_only: bool, now: np.datetime64 | None = None) -> Split:
    """Hold out the events for which ``held_out``, shape (n_events,), is true.

    ``now`` is the time of the newest event before the cut by default. Raises NothingToMeasure.
    """
    train = select_events(history, ~held_out)
    test = select_events(history, held_out & (history.weights >= RELEVANT_WEIGHT))
    if len(train) == 0:
        raise NothingToMeasure("no events before the cut: nothing to learn from")
    known, relevant = _user_item_pairs(train), _user_item_pairs(test)
    if new_only:
        relevant = sparse.csr_array(relevant - relevant.multiply(known))
        relevant.eliminate_zeros()
    is_test_user = (np.diff(relevant.indptr) > 0) & (np.diff(known.indptr) > 0)
    if not is_test_user.any():
        raise NothingToMeasure(
            "no user has both events before the cut and "
            + ("a product they had not met before" if new_only else "a product")
            + " added to the cart or bought after it"
        )
    return Split(
        train=train,
        now=train.times.max() if now is None else now,
        users=np.flatnonzero(is_test_user),
        relevant=relevant,
        known_items=np.bincount(train.items, minlength=len(history.product_ids)) > 0,
        new_only=new_only,
        held_out=select_events(history, held_out),
    )


def split_last_days(history: History, days: float, *, new_only: bool) -> Split:
    """Hold out the last ``days`` days, counted back from the newest event. Raises NothingToMeasure."""
    if len(history) == 0:
        raise NothingToMeasure("no events")
    cut = history.times.max() - np.timedelta64(round(days * 86_400e6), "us")
    return split_by_mask(history, history.times > cut, new_only=new_only, now=cut)


def leave_last_out(history: History, *, new_only: bool) -> Split:
    """Hold out each user's last relevant event and all of their later events. Raises NothingToMeasure.

    Ages count back from the newest event before the cuts. Users' cuts are at different times, so models learn from
    events later than other users' cuts. ``split_last_days`` has no such leakage, but the literature uses this split.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    relevant = np.flatnonzero(history.weights >= RELEVANT_WEIGHT)
    cuts = np.full(len(history.user_ids), history.times.max() + np.timedelta64(1, "us"))
    if len(relevant):
        cuts[history.users[relevant]] = np.datetime64("0001-01-01", "us")
        np.maximum.at(cuts, history.users[relevant], history.times[relevant])
    return split_by_mask(history, history.times >= cuts[history.users], new_only=new_only)


def split_by_file(history: History, test: History, *, new_only: bool) -> Split:
    """Hold out the events of ``test``, which has its own codes for the same ids. Raises NothingToMeasure.

    Events of ``history`` at or after their user's first held-out event are in that user's future and are left out.
    """
    if len(test) == 0:
        raise NothingToMeasure("no events in the held-out file")
    joined = join_histories(history, test)
    held_out = np.arange(len(joined)) >= len(history)
    cuts = np.full(len(joined.user_ids), joined.times.max() + np.timedelta64(1, "us"))
    np.minimum.at(cuts, joined.users[held_out], joined.times[held_out])
    is_future = ~held_out & (joined.times >= cuts[joined.users])
    return split_by_mask(select_events(joined, ~is_future), held_out[~is_future], new_only=new_only)


def estimate_holdout_days(history: History, test: History) -> float | None:
    """Return the number of days that a file of held-out events covers, at least 1; None if users have different cuts.

    All users share one cut if at most OVERLAP_MAX of ``history`` is as late as the first event of ``test``.
    """
    first = test.times.min()
    if (history.times >= first).mean() > OVERLAP_MAX:
        return None
    return max(1.0, float((test.times.max() - first) / DAY))


def join_histories(first: History, second: History) -> History:
    """Return the events of both histories, those of ``first`` first, in common codes."""
    return history_of(
        np.concatenate((first.user_ids[first.users], second.user_ids[second.users])),
        np.concatenate((first.product_ids[first.items], second.product_ids[second.items])),
        np.concatenate((first.weights, second.weights)),
        np.concatenate((first.times, second.times)),
    )
