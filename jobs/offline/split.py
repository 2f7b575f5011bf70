"""Splits of a history in time: what may be learnt from, and what is asked for afterwards."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.data.history import History, history_of
from jobs.models.arrays import Matrix
from shared.domain.events import EVENT_WEIGHTS, EventType

# what a held-out event must weigh to be asked for: add_to_cart and purchase
RELEVANT_WEIGHT: Final = min(EVENT_WEIGHTS[EventType.ADD_TO_CART], EVENT_WEIGHTS[EventType.PURCHASE])


class NothingToMeasure(ValueError):
    """The split leaves no user with a past and something to ask for."""


@dataclass(frozen=True)
class Split:
    """A history cut in time.

    Attributes
    ----------
    train : what came up to the cut, in the codes of the whole history.
    now : the time of the cut, for ages and decays.
    users : int64, shape (n_test,), codes of the users with a past and something relevant after the cut, ascending.
    relevant : shape (n_users, n_items), 1 where a user added to the cart or bought after the cut.
    known_items : bool, shape (n_items,), met before the cut: only these can be recommended.
    new_only : pairs met before are not asked for.
    """

    train: History
    now: np.datetime64
    users: NDArray[np.int64]
    relevant: Matrix
    known_items: NDArray[np.bool_]
    new_only: bool


def only(history: History, mask: NDArray[np.bool_]) -> History:
    """Return the events that the mask keeps, under the same codes."""
    return History(
        history.user_ids,
        history.product_ids,
        history.users[mask],
        history.items[mask],
        history.weights[mask],
        history.times[mask],
    )


def _pairs(history: History) -> Matrix:
    shape = (len(history.user_ids), len(history.product_ids))
    pairs = sparse.csr_array((np.ones(len(history)), (history.users, history.items)), shape=shape)
    pairs.data[:] = 1
    return pairs


def by_mask(
    history: History, held_out: NDArray[np.bool_], *, new_only: bool, now: np.datetime64 | None = None
) -> Split:
    """Split by a mask of the held-out events, shape (n_events,). Raises NothingToMeasure."""
    train, test = only(history, ~held_out), only(history, held_out & (history.weights >= RELEVANT_WEIGHT))
    if len(train) == 0:
        raise NothingToMeasure("no events before the cut: nothing to learn from")
    met, relevant = _pairs(train), _pairs(test)
    if new_only:
        relevant = sparse.csr_array(relevant - relevant.multiply(met))
        relevant.eliminate_zeros()
    asked = (np.diff(relevant.indptr) > 0) & (np.diff(met.indptr) > 0)
    if not asked.any():
        raise NothingToMeasure(
            "no user has both events before the cut and "
            + ("a product they had not met before" if new_only else "a product")
            + " added to the cart or bought after it"
        )
    return Split(
        train=train,
        now=train.times.max() if now is None else now,
        users=np.flatnonzero(asked),
        relevant=relevant,
        known_items=np.bincount(train.items, minlength=len(history.product_ids)) > 0,
        new_only=new_only,
    )


def last_days(history: History, days: float, *, new_only: bool) -> Split:
    """Hold out what came in the last ``days`` days of the history. Raises NothingToMeasure."""
    if len(history) == 0:
        raise NothingToMeasure("no events")
    cut = history.times.max() - np.timedelta64(round(days * 86_400e6), "us")
    return by_mask(history, history.times > cut, new_only=new_only, now=cut)


def leave_last_out(history: History, *, new_only: bool) -> Split:
    """Hold out each user's last relevant event, and all of theirs after it. Raises NothingToMeasure.

    Ages are measured from the newest event that is learnt from: users' cuts lie at different times, so a model learns
    from what some did after others were asked. It is the literature's split; ``last_days`` is the honest one.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    relevant = np.flatnonzero(history.weights >= RELEVANT_WEIGHT)
    last = np.full(len(history.user_ids), history.times.max() + np.timedelta64(1, "us"))
    if len(relevant):
        last[history.users[relevant]] = np.datetime64("0001-01-01", "us")
        np.maximum.at(last, history.users[relevant], history.times[relevant])
    return by_mask(history, history.times >= last[history.users], new_only=new_only)


def by_file(history: History, test: History, *, new_only: bool) -> Split:
    """Hold out the events of another history, in codes of the same ids; ``history`` is all learnt from.

    What of ``history`` came at or after the first held-out event of its user would be the future: it is left out.
    """
    if len(test) == 0:
        raise NothingToMeasure("no events in the held-out file")
    both = join(history, test)
    held_out = np.arange(len(both)) >= len(history)
    first = np.full(len(both.user_ids), both.times.max() + np.timedelta64(1, "us"))
    np.minimum.at(first, both.users[held_out], both.times[held_out])
    future = ~held_out & (both.times >= first[both.users])
    kept = only(both, ~future)
    return by_mask(kept, held_out[~future], new_only=new_only)


def cut_days(history: History, test: History) -> float | None:
    """Return how many days a file of held-out events spans after one cut; None where each user has a cut of their own.

    One cut: less than a tenth of ``history`` is as late as the first of ``test``.
    """
    first = test.times.min()
    if (history.times >= first).mean() > 0.1:
        return None
    return max(1.0, float((test.times.max() - first) / np.timedelta64(86_400_000_000, "us")))


def join(one: History, other: History) -> History:
    """Return the events of both, in codes for the ids of both."""
    return history_of(
        np.concatenate((one.user_ids[one.users], other.user_ids[other.users])),
        np.concatenate((one.product_ids[one.items], other.product_ids[other.items])),
        np.concatenate((one.weights, other.weights)),
        np.concatenate((one.times, other.times)),
    )
