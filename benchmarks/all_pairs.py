"""One contestant of ``benchmarks/similarity.py``, in a process of its own: ``python all_pairs.py NAME MATRIX.npz``.

Imports NumPy, SciPy and the contestant only, so that a peer's environment needs nothing of this project. Prints JSON:
wall-clock seconds (with importing and compiling, without reading the matrix), processor seconds, peak memory in MB, and
the number and mean score of the pairs, which show that contestants computed the same.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from scipy import sparse

K: Final = 50
CORES: Final = 2


def ours(user_items: Any) -> Any:
    """Return the scores of our cosine, which also counts common users and leaves out pairs with fewer than two."""
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from jobs.models.cosine import cosine_neighbours

    neighbours = cosine_neighbours(sparse.csr_array(user_items), K)
    assert (neighbours.co_occurrence[neighbours.indices >= 0] >= 2).all()
    return neighbours.scores


def similaripy(user_items: Any) -> Any:
    """Return the scores of similaripy's cosine."""
    import similaripy

    return similaripy.cosine(user_items.T.tocsr(), k=K, num_threads=CORES, verbose=False).data


def implicit(user_items: Any) -> Any:
    """Return the scores of implicit's CosineRecommender."""
    from implicit.nearest_neighbours import CosineRecommender

    model = CosineRecommender(K=K, num_threads=CORES)
    model.fit(sparse.csr_matrix(user_items, dtype=np.float64), show_progress=False)
    return model.similarity.data


def sparse_dot_topn(user_items: Any) -> Any:
    """Return the scores of sparse_dot_topn's product of normalised columns."""
    from sparse_dot_topn import sp_matmul_topn

    unit = sparse.csr_matrix(user_items, dtype=np.float32)
    norms = np.sqrt(np.bincount(unit.indices, unit.data.astype(np.float64) ** 2, unit.shape[1]))
    unit.data /= norms[unit.indices].astype(np.float32)
    return sp_matmul_topn(unit.T.tocsr(), unit, top_n=K, n_threads=CORES, sort=True).data


CONTESTANTS: Final[dict[str, Callable[[Any], Any]]] = {
    "ours": ours,
    "similaripy": similaripy,
    "sparse_dot_topn": sparse_dot_topn,
    "implicit": implicit,
}


def main() -> None:
    """Run the contestant and print its measurements."""
    name, path = sys.argv[1:]
    with np.load(path) as stored:
        parts = (stored["data"].astype(np.float64), stored["indices"], stored["indptr"])
        user_items = sparse.csr_matrix(parts, shape=tuple(stored["shape"]))
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    started, used = time.perf_counter(), time.process_time()
    scores = CONTESTANTS[name](user_items)
    measurements = {
        "seconds": time.perf_counter() - started,
        "cpu_seconds": time.process_time() - used,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "pairs": int((scores > 0).sum()),
        "mean_score": float(np.asarray(scores, np.float64)[scores > 0].mean()),
    }
    print(json.dumps(measurements))


if __name__ == "__main__":
    main()
