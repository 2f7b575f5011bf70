"""Matrices with a known answer, and dense references of the algorithms."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from jobs.models.arrays import Matrix
from jobs.models.neighbours import NO_NEIGHBOUR, Neighbours
from jobs.models.registry import ALGORITHMS
from jobs.models.sequences import Sequences, sequences_of

# items that users of ``in_turn`` meet in the same hour
ITEMS_AT_ONCE = 3


def small_shop_parameters(name: str, user_items: Matrix) -> dict[str, Any]:
    """Return the parameters with which an algorithm suits the small matrices of these tests.

    ``ease_head`` gets a head of half of the items that have users: the rest is its tail. ``transitions`` gets a window
    that no history of ``in_turn`` exceeds, unless it is longer than 90 items.
    """
    if name == "transitions":
        return {"window": 30}
    if name != "ease_head":
        return {}
    return {"head": max(1, len(np.unique(user_items.indices[user_items.data != 0])) // 2)}


def fit(name: str, user_items: Matrix, k: int) -> Neighbours:
    """Fit the algorithm of this name with parameters that suit a small matrix; order is that of ``in_turn``."""
    algorithm = ALGORITHMS[name]
    events = in_turn(user_items) if algorithm.is_sequential else user_items
    return algorithm.fit(events, k, **small_shop_parameters(name, user_items))


def in_turn(user_items: Matrix) -> Sequences:
    """Return the sequences of users who meet their items in the order of the columns, three columns in an hour."""
    rows = np.repeat(np.arange(user_items.shape[0]), np.diff(user_items.indptr))
    hours = (user_items.indices // ITEMS_AT_ONCE).astype(np.float64)
    return sequences_of(rows, user_items.indices, hours, user_items.data, user_items.shape[1])


def checkerboard(users: int, items: int) -> Matrix:
    """Return interactions of even users with even items, and of odd users with odd items."""
    return sparse.csr_array(((np.arange(users)[:, None] + np.arange(items)) % 2 == 0).astype(np.float64))


def random(users: int, items: int, density: float, seed: int) -> Matrix:
    """Return random whole weights between 1 and 9, which give many ties."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(1, 10, (users, items)) * (rng.random((users, items)) < density)
    return sparse.csr_array(weights.astype(np.float64))


def co_occurrence(user_items: Matrix) -> NDArray[np.int64]:
    """Return how many users have both items, shape (n_items, n_items)."""
    seen = (user_items.toarray() > 0).astype(np.int64)
    return seen.T @ seen


def ranked(scores: NDArray[np.float64], counts: NDArray[np.int64], min_co_occurrence: int, k: int) -> Neighbours:
    """Rank a dense similarity one item at a time."""
    n_items = len(scores)
    neighbours = Neighbours.none(n_items, k)
    stored = np.clip(scores, 0, 1).astype(np.float32)
    for item in range(n_items):
        candidates = [
            candidate
            for candidate in range(n_items)
            if candidate != item and counts[item, candidate] >= min_co_occurrence
        ]
        candidates.sort(key=lambda candidate: (-stored[item, candidate], -counts[item, candidate], candidate))
        for place, candidate in enumerate(candidates[:k]):
            neighbours.indices[item, place] = candidate
            neighbours.scores[item, place] = stored[item, candidate]
            neighbours.co_occurrence[item, place] = counts[item, candidate]
    return neighbours


def dense_cosine(user_items: Matrix, k: int) -> Neighbours:
    """Return the plain cosine's neighbours with at least two users in common, from the whole dense matrix."""
    weights = user_items.toarray()
    norms = np.linalg.norm(weights, axis=0)
    norms[norms == 0] = 1
    unit = weights / norms
    return ranked(unit.T @ unit, co_occurrence(user_items), 2, k)


def _cosine_of(weights: NDArray[np.float64], user_items: Matrix, k: int) -> Neighbours:
    norms = np.linalg.norm(weights, axis=0)
    norms[norms == 0] = 1
    unit = weights / norms
    return ranked_above_zero(unit.T @ unit, co_occurrence(user_items), 2, k)


def ranked_above_zero(
    scores: NDArray[np.float64], counts: NDArray[np.int64], min_co_occurrence: int, k: int
) -> Neighbours:
    """Rank the entries above 0 of a dense similarity."""
    return ranked(scores, np.where(scores.astype(np.float32) > 0, counts, -1), min_co_occurrence, k)


def rarity(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each user's idf, shape (n_users, 1)."""
    return np.log1p(weights.shape[1] / np.maximum((weights > 0).sum(axis=1, keepdims=True), 1))


def dense_tfidf(user_items: Matrix, k: int) -> Neighbours:
    """Return the neighbours by cosine of TF-IDF weights."""
    weights = user_items.toarray()
    return _cosine_of(np.sqrt(weights) * rarity(weights), user_items, k)


def dense_bm25(user_items: Matrix, k: int) -> Neighbours:
    """Return the neighbours by cosine of BM25 weights, k1 100 and b 0.5."""
    weights = user_items.toarray()
    lengths = weights.sum(axis=0)
    norms = 100 * (0.5 + 0.5 * lengths / lengths[lengths > 0].mean())
    return _cosine_of(weights * 101 / (weights + norms) * rarity(weights), user_items, k)


def _divided(scores: NDArray[np.float64], user_items: Matrix) -> NDArray[np.float64]:
    scores = np.where(co_occurrence(user_items) >= 2, scores, 0)
    np.fill_diagonal(scores, 0)
    return scores / max(scores.max(), 1e-12)


def dense_rp3beta(user_items: Matrix, k: int) -> Neighbours:
    """Return the ends of random walks from item to user to item, alpha 1 and beta 0.4."""
    weights = user_items.toarray()
    from_user = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-12)
    from_item = (weights / np.maximum(weights.sum(axis=0), 1e-12)).T
    walks = from_item @ from_user / np.maximum(weights.sum(axis=0), 1e-12) ** 0.4
    return ranked_above_zero(_divided(walks, user_items), co_occurrence(user_items), 2, k)


def dense_ease(user_items: Matrix, k: int, regularisation: float = 1.0) -> Neighbours:
    """Return the positive weights of the closed form, regularised in units of the items' mean squared length."""
    weights = user_items.toarray()
    gram = weights.T @ weights
    penalty = regularisation * np.diag(gram).sum() / (weights > 0).any(axis=0).sum()
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    best = np.maximum(-inverse / np.diag(inverse), 0)
    return ranked_above_zero(_divided(best, user_items), co_occurrence(user_items), 2, k)


def dense_ease_head(user_items: Matrix, k: int) -> Neighbours:
    """Return EASE, regularised by 3, of the half with the most users, and RP3beta of the other half."""
    user_counts = (user_items.toarray() > 0).sum(axis=0)
    by_users = sorted(range(len(user_counts)), key=lambda item: (-user_counts[item], item))
    head = np.sort(by_users[: (user_counts > 0).sum() // 2])
    neighbours = dense_rp3beta(user_items, k)
    best = dense_ease(sparse.csr_array(user_items[:, head]), k, regularisation=3.0)
    neighbours.indices[head] = np.where(best.indices == NO_NEIGHBOUR, NO_NEIGHBOUR, head[best.indices])
    neighbours.scores[head], neighbours.co_occurrence[head] = best.scores, best.co_occurrence
    return neighbours


def dense_transitions(user_items: Matrix, k: int) -> Neighbours:
    """Return the transitions of ``in_turn``, one pair of events at a time, with the default parameters."""
    weights = user_items.toarray()
    scores = np.zeros((weights.shape[1],) * 2)
    for row in weights:
        items = np.flatnonzero(row)
        moments = sorted({int(item) // ITEMS_AT_ONCE for item in items})
        for item in items:
            for other in items:
                distance = moments.index(other // ITEMS_AT_ONCE) - moments.index(item // ITEMS_AT_ONCE)
                direction = 0.3 if distance < 0 else 1.0
                scores[item, other] += direction * max(abs(distance), 1) ** -0.5 * np.sqrt(row[item] * row[other])
    popularity = np.maximum(weights.sum(axis=0), 1e-12)
    scores *= popularity[:, None] ** -0.5 * popularity**-0.2
    return ranked_above_zero(_divided(scores, user_items), co_occurrence(user_items), 2, k)


def dense_popularity(user_items: Matrix, k: int) -> Neighbours:
    """Return the items with the greatest sums."""
    sums = user_items.toarray().sum(axis=0)
    scores = np.tile(sums / sums.max(), (len(sums), 1))
    return ranked_above_zero(scores, co_occurrence(user_items), 0, k)


def assert_alike(neighbours: Neighbours, expected: Neighbours) -> None:
    """Assert equality, where ties within the last digit of a float may be ranked either way."""
    np.testing.assert_allclose(neighbours.scores, expected.scores, rtol=0, atol=1e-6)
    assert neighbours.counts.tolist() == expected.counts.tolist()
    clear = np.abs(np.diff(expected.scores, axis=1, prepend=2, append=-1)) > 1e-6
    alone = clear[:, :-1] & clear[:, 1:]
    # the last place may tie with a neighbour beyond k
    alone[:, -1] = False
    assert alone.any()
    assert (neighbours.indices[alone] == expected.indices[alone]).all()
    assert (neighbours.co_occurrence[alone] == expected.co_occurrence[alone]).all()
