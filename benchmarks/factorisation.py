"""Implicit ALS, our own beside the library: ``python -m benchmarks.factorisation --data DIR [NAME …]``.

Both minimise the same function (Hu, Koren, Volinsky, ICDM 2008) with the same parameters, and their item factors are
read as the same item-to-item model. The first table has what a process with one core pays: import, the first fit with
all that is compiled for it, a second fit, memory, and whether two threads give the same bytes. The second has NDCG@20
of what would be served, with parameters that each solver chose by itself on the tuning days.
"""

import argparse
import hashlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from benchmarks.quality import cases
from benchmarks.shops import Case, real_case
from benchmarks.similarity import random_matrix
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.als import als_factors, read_factors
from jobs.models.arrays import Float32Array, Matrix
from jobs.models.neighbours import Neighbours
from jobs.models.pairs import count_threads
from jobs.offline.metrics import bootstrap_interval, score_users
from jobs.offline.recommender import OfflineRecommender
from jobs.offline.snapshot import Snapshot
from jobs.offline.split import Split
from jobs.tuning.budget import Budget
from jobs.tuning.objective import K, Objective
from jobs.tuning.splits import split_for_tuning
from shared.domain.formula import Formula

ITERATIONS: Final = 10
FACTORS: Final = 64
SEEDS: Final = (1, 2)
NEIGHBOURS: Final = 50
REGULARISATION: Final = (1.0, 10.0, 100.0)
CONFIDENCE: Final = (1.0, 5.0, 20.0)
SHOPS: Final = ("online_retail", "sessions", "synthetic")
# A matrix that takes a while: users, products and events.
LARGE: Final = (40_000, 15_000, 3_000_000)


def ours(matrix: Matrix, *, regularisation: float, confidence: float, seed: int) -> Float32Array:
    """Return the item factors of jobs/models/als.py, shape (n_items, FACTORS)."""
    return als_factors(
        matrix,
        factors=FACTORS,
        regularisation=regularisation,
        confidence=confidence,
        iterations=ITERATIONS,
        seed=seed,
    )[1]


def implicit(matrix: Any, *, regularisation: float, confidence: float, seed: int) -> Float32Array:
    """Return the item factors of the library, shape (n_items, FACTORS). Its weights are whole confidences."""
    model = import_module("implicit.als").AlternatingLeastSquares(
        factors=FACTORS,
        regularization=regularisation,
        alpha=1.0,
        iterations=ITERATIONS,
        random_state=seed,
        num_threads=count_threads(),
    )
    confidences = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    confidences.data = 1 + np.float32(confidence) * confidences.data
    # as the library asks for: BLAS threads beside its own make it several times slower
    with import_module("threadpoolctl").threadpool_limits(1, "blas"):
        model.fit(confidences, show_progress=False)
    return np.asarray(model.item_factors)


SOLVERS: Final[Mapping[str, Callable[..., Float32Array]]] = {"ours": ours, "implicit": implicit}


def run_alone(solver: str, matrix: Path, threads: int) -> dict[str, Any]:
    """Return what ``measure_alone`` measures, in a new process."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.factorisation", "--alone", solver, str(matrix), str(threads)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure_alone(solver: str, path: Path, threads: int) -> dict[str, Any]:
    """Return the processor seconds of import, first and second fit, the process's peak memory in MB, and a hash."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    with np.load(path) as arrays:
        matrix = sparse.csr_array((arrays["data"], arrays["indices"], arrays["indptr"]), shape=arrays["shape"])
    begun = time.process_time()
    import_module("implicit.als" if solver == "implicit" else "numba")
    seconds = {"import": time.process_time() - begun}
    for which in ("first fit", "second fit"):
        begun = time.process_time()
        factors = SOLVERS[solver](matrix, regularisation=10.0, confidence=5.0, seed=0)
        seconds[which] = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds | {"MB": peak / 1024, "hash": hashlib.sha256(factors.tobytes()).hexdigest()}


def cost_table(matrices: Mapping[str, Any], folder: Path) -> str:
    """Return what each solver costs on each matrix as a Markdown table."""
    lines = [
        "| matrix | | import, s | first fit, s | second fit, s | peak memory, MB | two threads give the same bytes |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, matrix in matrices.items():
        path = folder / "matrix.npz"
        np.savez(path, data=matrix.data, indices=matrix.indices, indptr=matrix.indptr, shape=matrix.shape)
        for solver in SOLVERS:
            alone, beside = run_alone(solver, path, 1), run_alone(solver, path, 2)
            cells = [f"{alone[key]:.2f}" for key in ("import", "first fit", "second fit")]
            is_same = "yes" if alone["hash"] == beside["hash"] else "no"
            lines.append(f"| {name} | {solver} | {' | '.join(cells)} | {alone['MB']:.0f} | {is_same} |")
        path.unlink()
    return "\n".join(lines)


def fit(solver: str, matrix: Matrix, seed: int, regularisation: float, confidence: float) -> Neighbours:
    """Return the item-to-item model of a solver's factors."""
    factors = SOLVERS[solver](matrix, regularisation=regularisation, confidence=confidence, seed=seed)
    return read_factors(matrix, factors, regularisation, NEIGHBOURS, 2)


def serve(case: Case, split: Split, solver: str, seed: int) -> tuple[NDArray[np.float64], str]:
    """Return NDCG@20 of each user of the measured days, and the parameters chosen on earlier days."""
    splits = split_for_tuning(split.train, new_only=True, holdout_days=case.days, leave_last=case.days is None)[0]
    objective = Objective(splits, case.catalog, seed=seed, compiled=True)
    formula = Formula(profile_events=200, frequency_power=1.0, weight_power=0.0, blend=1.0, exclusion_policy="seen")
    inputs = [training_matrix(fold.split.train, fold.split.now, Weighting()) for fold in objective.folds]

    def score(parameters: tuple[float, float]) -> float:
        neighbours = [fit(solver, matrix, seed, *parameters) for matrix in inputs]
        return float(objective.score(neighbours, formula, Budget(math.inf)).mean())

    best = max(product(REGULARISATION, CONFIDENCE), key=score)
    neighbours = fit(solver, training_matrix(split.train, split.now, Weighting()), seed, *best)
    snapshot = Snapshot(split.train, split.now, split.users, split.known_items, case.catalog)
    answers = OfflineRecommender(snapshot, K, compiled=True).recommend(neighbours, formula)
    return score_users(answers, split.relevant[split.users])["ndcg@20"], f"λ {best[0]:g}, confidence {best[1]:g}"


def quality_table(names: Sequence[str], folder: Path | None) -> str:
    """Return the quality of each solver on each shop as a Markdown table, over all seeds."""
    lines = ["| shop | ours | implicit | ours is ahead by (95 % interval) | chosen |", "|---|---|---|---|---|"]
    for name, shops in cases(names, folder, SEEDS):
        scores: dict[str, list[NDArray[np.float64]]] = {solver: [] for solver in SOLVERS}
        chosen = []
        for place, seed in enumerate(SEEDS):
            case = shops[min(place, len(shops) - 1)]
            split = case.split(new_only=True)
            for solver, by_seed in scores.items():
                values, parameters = serve(case, split, solver, seed)
                by_seed.append(values)
                chosen.append(f"{solver} {parameters}")
        difference = np.concatenate(scores["ours"]) - np.concatenate(scores["implicit"])
        low, high = bootstrap_interval(difference)
        cells = [", ".join(f"{values.mean():.4f}" for values in by_seed) for by_seed in scores.values()]
        lines.append(
            f"| {name} | {' | '.join(cells)} | {difference.mean():+.4f} ({low:+.4f} to {high:+.4f}) | "
            f"{'; '.join(chosen)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables. Exit code 2 without the library."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"by default {', '.join(SHOPS)}")
    parser.add_argument("--data", type=Path, metavar="DIR", help="as for benchmarks.quality")
    parser.add_argument("--alone", nargs=3, metavar=("SOLVER", "MATRIX", "THREADS"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.alone:
        solver, path, threads = options.alone
        print(json.dumps(measure_alone(solver, Path(path), int(threads))))
        return 0
    try:
        import_module("implicit.als")
    except ImportError:
        print("implicit is not installed: pip install -r benchmarks/requirements.txt", file=sys.stderr)
        return 2
    matrices = {f"{LARGE[0]:,} users, {LARGE[1]:,} products, {LARGE[2]:,} events": random_matrix(*LARGE)}
    if options.data is not None and (options.data / "online_retail").is_dir():
        history = real_case("online_retail", options.data).history
        matrices = {"online_retail": training_matrix(history, history.times.max(), Weighting()), **matrices}
    with tempfile.TemporaryDirectory() as folder:
        print(cost_table(matrices, Path(folder)), end="\n\n", flush=True)
    print(quality_table(options.names or SHOPS, options.data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
