"""The libraries and models that a shop could take instead, tuned on the same split with the same processor time.

Each is the plain model of its paper: a user's row holds the counts of their events by product, scores are dense and
untruncated, and known products are left out if only new products are relevant. Those of benchmarks/sequence_peers.py
know the order of events as well.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks import sequence_peers
from jobs.offline.metrics import find_hits, ndcg
from jobs.offline.split import Split

K: Final = 20
Scores = NDArray[np.float32]
Answers = NDArray[np.int64]


@dataclass(frozen=True)
class Peer:
    """``fit(user_items, **parameters)`` returns what scores a block of users: (rows of user_items, codes) → dense.

    If ``is_sequential``, ``fit`` takes the split instead.
    """

    fit: Callable[..., Callable[[Any, NDArray[np.int64]], Scores]]
    values: Mapping[str, Sequence[Any]]
    is_sequential: bool = False


def _als(user_items: Any, **parameters: Any) -> Callable[[Any, NDArray[np.int64]], Scores]:
    model = import_module("implicit.als").AlternatingLeastSquares(
        iterations=15, random_state=0, num_threads=2, **parameters
    )
    # as the library asks for: BLAS threads beside its own make it several times slower
    with import_module("threadpoolctl").threadpool_limits(1, "blas"):
        model.fit(sparse.csr_matrix(user_items, dtype=np.float32), show_progress=False)
    return lambda _rows, users: np.asarray(model.user_factors[users] @ model.item_factors.T)


def _bm25(user_items: Any, **parameters: Any) -> Callable[[Any, NDArray[np.int64]], Scores]:
    model = import_module("implicit.nearest_neighbours").BM25Recommender(num_threads=2, **parameters)
    model.fit(sparse.csr_matrix(user_items, dtype=np.float64), show_progress=False)
    return lambda rows, _users: np.asarray((rows @ sparse.csr_array(model.similarity)).toarray(), np.float32)


def _rp3beta(user_items: Any, *, topk: int, **parameters: Any) -> Callable[[Any, NDArray[np.int64]], Scores]:
    rp3beta = import_module("similaripy").rp3beta
    similar = rp3beta(sparse.csr_matrix(user_items.T), k=topk, verbose=False, num_threads=2, **parameters)
    similar = sparse.csr_array(similar)
    return lambda rows, _users: np.asarray((rows @ similar).toarray(), np.float32)


def _ease(user_items: Any, *, regularisation: float) -> Callable[[Any, NDArray[np.int64]], Scores]:
    gram = (user_items.T @ user_items).toarray().astype(np.float32)
    gram[np.diag_indices_from(gram)] += regularisation
    weights = np.linalg.inv(gram)
    weights /= -np.diag(weights)
    np.fill_diagonal(weights, 0)
    return lambda rows, _users: np.asarray(rows.astype(np.float32) @ weights)


def _popular(user_items: Any) -> Callable[[Any, NDArray[np.int64]], Scores]:
    counts = np.bincount(user_items.indices, minlength=user_items.shape[1]).astype(np.float32)
    return lambda rows, _users: np.tile(counts, (rows.shape[0], 1))


PEERS: Final[Mapping[str, Peer]] = {
    "popular": Peer(_popular, {}),
    "implicit ALS": Peer(
        _als, {"factors": (32, 64, 128, 256), "regularization": (0.01, 0.1, 1.0), "alpha": (1.0, 5.0, 20.0, 80.0)}
    ),
    "implicit BM25": Peer(_bm25, {"K": (50, 200, 1000), "K1": (0.5, 1.2, 10.0, 100.0), "B": (0.1, 0.5, 0.9)}),
    "similaripy RP3beta": Peer(
        _rp3beta, {"topk": (50, 200, 1000), "alpha": (0.4, 0.7, 1.0, 1.3), "beta": (0.0, 0.3, 0.6, 0.9)}
    ),
    "EASE": Peer(_ease, {"regularisation": (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)}),
    "sequential rules": Peer(
        sequence_peers.sequential_rules,
        {
            "gap_minutes": (None, 1440.0, 30.0),
            "steps": (1, 3, 10, 30),
            "distance_power": (0.0, 1.0, 2.0),
            "query_decay": (0.3, 0.5, 0.7, 0.9),
        },
        is_sequential=True,
    ),
    "V-SKNN": Peer(
        sequence_peers.vsknn,
        {"gap_minutes": (None, 1440.0, 30.0), "k": (50, 100, 500, 1500), "idf": (0.0, 0.5, 1.0)},
        is_sequential=True,
    ),
    "STAN": Peer(
        sequence_peers.stan,
        {
            "gap_minutes": (None, 1440.0, 30.0),
            "k": (100, 500, 1500),
            "query_steps": (0.5, 1.0, 2.0, 5.0),
            "recency_days": (None, 80.0, 20.0, 5.0),
            "near_steps": (None, 5.0, 2.0, 1.0),
        },
        is_sequential=True,
    ),
}
# the dense inverse of more items takes minutes and gigabytes
EASE_ITEMS: Final = 12_000


def matrix_of(split: Split, binary: bool) -> Any:
    """Return how often each user met each item, or whether."""
    train = split.train
    shape = (len(train.user_ids), len(train.product_ids))
    matrix = sparse.csr_array((np.ones(len(train)), (train.users, train.items)), shape=shape)
    if binary:
        matrix.data[:] = 1
    return matrix


def answers(split: Split, user_items: Any, score: Callable[[Any, NDArray[np.int64]], Scores]) -> Answers:
    """Return each test user's best products, shape (n_users, 20), best first."""
    blocks = []
    for first in range(0, len(split.users), 500):
        users = split.users[first : first + 500]
        rows = user_items[users]
        scores = np.array(score(rows, users), dtype=np.float32)
        if split.new_only:
            scores[np.repeat(np.arange(len(users)), np.diff(rows.indptr)), rows.indices] = -np.inf
        scores[:, ~split.known_items] = -np.inf
        top = np.argpartition(-scores, K, axis=1)[:, :K]
        order = np.take_along_axis(scores, top, 1).argsort(axis=1)[:, ::-1]
        blocks.append(np.take_along_axis(top, order, 1))
    return np.concatenate(blocks)


def _ndcg(split: Split, answers: Answers) -> NDArray[np.float64]:
    relevant = split.relevant[split.users]
    return ndcg(find_hits(answers, relevant), np.diff(relevant.indptr).astype(np.int64))


def _trials(peer: Peer, seed: int) -> Iterator[tuple[bool, dict[str, Any]]]:
    combinations = [
        (binary, dict(zip(peer.values, chosen, strict=True)))
        for binary in ((True,) if peer.is_sequential else (True, False))
        for chosen in product(*peer.values.values())
    ]
    for place in np.random.default_rng(seed).permutation(len(combinations)):
        yield combinations[place]


def best_answers(
    name: str, outer: Split, inner: Split, *, processor_budget_s: float, seed: int = 0
) -> tuple[Answers, str]:
    """Search a peer's parameters at random on the inner split within the budget; return its answers on the outer one.

    Raises ValueError for a catalog that does not fit the peer's memory.
    """
    if name == "EASE" and len(outer.train.product_ids) > EASE_ITEMS:
        raise ValueError(f"untruncated EASE of {len(outer.train.product_ids)} items left out")
    peer, end = PEERS[name], time.process_time() + processor_budget_s
    best: tuple[float, bool, dict[str, Any]] | None = None
    tried = 0
    for binary, parameters in _trials(peer, seed):
        if tried and time.process_time() > end:
            break
        score = float(_ndcg(inner, _fit_and_answer(peer, inner, binary, parameters)).mean())
        tried += 1
        if best is None or score > best[0]:
            best = (score, binary, parameters)
    assert best is not None
    description = f"{tried} tried; {best[2]}{'' if peer.is_sequential else ', binary' if best[1] else ', counts'}"
    return _fit_and_answer(peer, outer, best[1], best[2]), description


def _fit_and_answer(peer: Peer, split: Split, binary: bool, parameters: Mapping[str, Any]) -> Answers:
    user_items = matrix_of(split, binary)
    return answers(split, user_items, peer.fit(split if peer.is_sequential else user_items, **parameters))
