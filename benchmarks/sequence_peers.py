"""Peers that know the order of events: sequential rules and nearest sessions, plainly written from their papers.

A session is a user's events without a pause of more than the gap. A query is a user's latest session before the cut.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.data.history import DAY
from jobs.data.weighting import split_rows
from jobs.offline.split import Split

Scores = NDArray[np.float32]
Score = Callable[[Any, NDArray[np.int64]], Scores]
# Latest events of a query.
QUERY_EVENTS: Final = 20


@dataclass(frozen=True)
class Sessions:
    """The events before the cut by session, then time.

    items, times : by event.  starts : shape (n_sessions + 1,).  users : by session.
    last : each user's latest session, −1 without one.
    """

    n_items: int
    items: NDArray[np.int64]
    times: NDArray[np.datetime64]
    starts: NDArray[np.int64]
    users: NDArray[np.int64]
    last: NDArray[np.int64]

    @classmethod
    def of(cls, split: Split, gap_minutes: float | None) -> "Sessions":
        """Return the sessions of the split's events before the cut; a user is one session if there is no gap."""
        train = split.train
        rows, n_rows = split_rows(train, gap_minutes)
        order = np.lexsort((train.times, rows))
        rows = rows[order]
        starts = np.searchsorted(rows, np.arange(n_rows + 1))
        users = np.full(n_rows, -1, np.int64)
        users[rows] = train.users[order]
        last = np.full(len(train.user_ids), -1, np.int64)
        # sessions of one user are in the order of time
        last[users[users >= 0]] = np.flatnonzero(users >= 0)
        return cls(len(train.product_ids), train.items[order].astype(np.int64), train.times[order], starts, users, last)

    def query(self, user: int) -> NDArray[np.int64]:
        """Return the distinct items of the user's latest session, the latest first."""
        session = self.last[user]
        latest = self.items[self.starts[session] : self.starts[session + 1]][::-1][:QUERY_EVENTS]
        _, first = np.unique(latest, return_index=True)
        return latest[np.sort(first)]


def sequential_rules(
    split: Split, *, gap_minutes: float | None, steps: int, distance_power: float, query_decay: float
) -> Score:
    """Return the scorer of sequential rules: what followed, by 1 / distance (SR in Ludewig and Jannach, UMUAI 2018)."""
    sessions = Sessions.of(split, gap_minutes)
    session_of = np.repeat(np.arange(len(sessions.users)), np.diff(sessions.starts))
    rules = sparse.csr_array((sessions.n_items, sessions.n_items))
    for distance in range(1, steps + 1):
        together = session_of[distance:] == session_of[:-distance]
        before, after = sessions.items[:-distance][together], sessions.items[distance:][together]
        weights = np.full(len(before), float(distance) ** -distance_power)
        rules = rules + sparse.csr_array((weights, (before, after)), shape=rules.shape)

    def score(_rows: Any, users: NDArray[np.int64]) -> Scores:
        queries = [sessions.query(int(user)) for user in users]
        lengths = [len(query) for query in queries]
        weights = np.concatenate([query_decay ** np.arange(length) for length in lengths])
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        rows = sparse.csr_array((weights, np.concatenate(queries), indptr), shape=(len(users), sessions.n_items))
        return np.asarray((rows @ rules).toarray(), np.float32)

    return score


def vsknn(split: Split, *, gap_minutes: float | None, k: int, idf: float) -> Score:
    """Return the scorer of V-SKNN (Ludewig and Jannach, UMUAI 2018): linear decay in the query, weighted by idf."""
    return _nearest_sessions(
        split,
        gap_minutes=gap_minutes,
        k=k,
        query_weights=lambda length: 1.0 - np.arange(length) / length,
        match_weights=lambda back: np.maximum(1.0 - 0.1 * back, 0.0),
        recency_days=None,
        near_steps=None,
        idf=idf,
    )


def stan(
    split: Split,
    *,
    gap_minutes: float | None,
    k: int,
    query_steps: float,
    recency_days: float | None,
    near_steps: float | None,
) -> Score:
    """Return the scorer of STAN (Garg et al., SIGIR 2019): decay in the query, by age and around the matching item."""
    return _nearest_sessions(
        split,
        gap_minutes=gap_minutes,
        k=k,
        query_weights=lambda length: np.exp(-np.arange(length) / query_steps),
        match_weights=np.ones_like,
        recency_days=recency_days,
        near_steps=near_steps,
        idf=0.0,
    )


def _nearest_sessions(
    split: Split,
    *,
    gap_minutes: float | None,
    k: int,
    query_weights: Callable[[int], NDArray[np.float64]],
    match_weights: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    recency_days: float | None,
    near_steps: float | None,
    idf: float,
) -> Score:
    """Return the scorer by the ``k`` sessions of other users, or earlier ones of the user, that are most similar.

    query_weights : weights of the query's items, the latest first.  match_weights : weight of a session by how many
    items back in the query its latest matching item is.  recency_days, near_steps : decay by the session's age before
    the query, and by the distance from the matching item in the session.  idf : power of each item's inverse frequency.
    """
    sessions = Sessions.of(split, gap_minutes)
    n_sessions, sizes = len(sessions.users), np.diff(sessions.starts)
    binary = sparse.csr_array(
        (np.ones(len(sessions.items)), sessions.items, sessions.starts), shape=(n_sessions, sessions.n_items)
    )
    binary.sum_duplicates()
    binary.data[:] = 1
    by_item = sparse.csr_array(binary.T)
    frequencies = np.maximum(np.diff(by_item.indptr), 1)
    rarity = np.log(n_sessions / frequencies + 1.0) ** idf
    ends = sessions.times[np.maximum(sessions.starts[1:] - 1, 0)]

    def score_query(user: int, scores: Scores) -> None:
        query, own = sessions.query(user), sessions.last[user]
        parts = [by_item.indices[by_item.indptr[item] : by_item.indptr[item + 1]] for item in query]
        weights = np.repeat(query_weights(len(query)), [len(part) for part in parts])
        matched, place = np.unique(np.concatenate(parts), return_inverse=True)
        similarity = np.bincount(place, weights=weights) / np.sqrt(len(query) * sizes[matched])
        if recency_days is not None:
            ages = np.maximum((ends[own] - ends[matched]) / DAY, 0)
            similarity = similarity * np.exp(-ages / recency_days)
        similarity[matched == own] = 0
        if len(matched) > k:
            best = np.argpartition(-similarity, k)[:k]
            matched, similarity = matched[best], similarity[best]
        # the events of all neighbours, and how far back in the query each one's item is
        lengths = sizes[matched]
        offsets = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        items = sessions.items[np.repeat(sessions.starts[matched], lengths) + offsets]
        back = np.full(sessions.n_items, np.inf)
        back[query] = np.arange(len(query))
        first = np.cumsum(lengths) - lengths
        latest = np.minimum.reduceat(back[items], first)
        values = np.repeat(similarity * match_weights(latest), lengths)
        if near_steps is not None:
            matching = np.where(back[items] == np.repeat(latest, lengths), offsets, -1)
            distance = np.abs(offsets - np.repeat(np.maximum.reduceat(matching, first), lengths))
            values = values * np.exp(-distance / near_steps)
        np.add.at(scores, items, (values * rarity[items]).astype(np.float32))

    def score(_rows: Any, users: NDArray[np.int64]) -> Scores:
        scores = np.zeros((len(users), sessions.n_items), np.float32)
        for row, user in enumerate(users):
            score_query(int(user), scores[row])
        return scores

    return score
