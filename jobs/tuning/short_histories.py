"""Short histories to tune on: held-out users as they were after the first few events of their first session.

Users of the held-out days who have a history before the cut are mostly regulars, while a shop's requests come from all
users. So part of the test users are first sessions in the held-out days, each cut after its first few events, as if
nothing else were known of its user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import sparse

from jobs.data.history import History
from jobs.models.arrays import Float64Array, Int64Array, Matrix
from jobs.offline.split import RELEVANT_WEIGHT
from shared.domain.formula import Repeats

# A session ends if the user's next event is later by more than this.
SESSION_PAUSE: Final = np.timedelta64(30, "m")
# Events after which first sessions are cut.
CUTS: Final = (1, 2, 3)
# Histories are grouped by their number of events: groups begin at 1 and at each of these.
GROUPS_FROM: Final = (3, 20)
# The groups' shares come from logged requests if there are at least this many; with fewer, all groups count alike.
REQUESTS_MIN: Final = 500


@dataclass(frozen=True)
class ShortHistories:
    """Cut sessions, each of which counts as a user of its own.

    history : one user per session; products have the codes of the held-out history.
    relevant : shape (n_rows, n_items), 1 where the user added a product to the cart or bought it after the cut.
    """

    history: History
    relevant: Matrix


def cut_first_sessions(held_out: History, repeats: Repeats, *, limit: int, seed: int) -> ShortHistories | None:
    """Return up to ``limit`` cut sessions, a random sample; None if there are none.

    With "exclude", products in the session before the cut are not relevant.
    """
    order = np.lexsort((held_out.times, held_out.users))
    users, times = held_out.users[order], held_out.times[order]
    items, weights = held_out.items[order].astype(np.int64), held_out.weights[order]
    starts = np.flatnonzero(np.append(True, users[1:] != users[:-1]))[: len(users)]
    ends = np.append(starts[1:], len(users))
    is_pause = np.append(False, times[1:] - times[:-1] > SESSION_PAUSE)[: len(users)]
    is_pause[starts] = False
    pauses = np.append(0, np.cumsum(is_pause))
    # the start of the user's second session, or the end of the user's events
    session_ends = np.minimum(np.searchsorted(pauses[1:], pauses[starts] + 1), ends)
    options = [
        (start, end, start + cut)
        for start, session_end, end in zip(starts.tolist(), session_ends.tolist(), ends.tolist(), strict=True)
        for cut in CUTS
        if start + cut <= session_end
    ]
    seen: list[Int64Array] = []
    wanted: list[Int64Array] = []
    for option in np.random.default_rng(seed).permutation(len(options)).tolist():
        if len(seen) == limit:
            break
        start, end, cut = options[option]
        later = np.arange(cut, end)[weights[cut:end] >= RELEVANT_WEIGHT]
        products = np.unique(items[later])
        if repeats == "exclude":
            products = np.setdiff1d(products, items[start:cut])
        if len(products):
            seen.append(np.arange(start, cut))
            wanted.append(products)
    if not seen:
        return None
    rows = np.repeat(np.arange(len(seen)), [len(events) for events in seen])
    events = np.concatenate(seen)
    history = History(
        np.arange(len(seen)),
        held_out.product_ids,
        rows.astype(np.int32),
        items[events].astype(np.int32),
        weights[events],
        times[events],
    )
    wanted_rows = np.repeat(np.arange(len(wanted)), [len(products) for products in wanted])
    relevant = sparse.csr_array(
        (np.ones(len(wanted_rows)), (wanted_rows, np.concatenate(wanted))),
        shape=(len(wanted), len(held_out.product_ids)),
    )
    return ShortHistories(history, relevant)


def share_lengths(request_counts: Sequence[int]) -> tuple[float, ...]:
    """Return the share of each group of history lengths, given the number of requests from users of each group."""
    total = sum(request_counts)
    if total < REQUESTS_MIN:
        return tuple(1 / len(request_counts) for _ in request_counts)
    return tuple(count / total for count in request_counts)


def group_weights(lengths: Int64Array, shares: tuple[float, ...]) -> Float64Array:
    """Return the weight of each history, shape (n_users,), with mean 1; a group's sum is proportional to its share.

    lengths : number of events, shape (n_users,). The share of a group without histories goes to the others.
    """
    groups = np.searchsorted(GROUPS_FROM, lengths, side="right")
    counts = np.bincount(groups, minlength=len(shares))
    present = np.where(counts > 0, shares, 0.0)
    if not present.any():
        return np.ones(len(lengths))
    return np.asarray((present / present.sum() / np.maximum(counts, 1))[groups] * len(lengths), np.float64)
