"""Similarity at scale beside the fastest libraries: ``python -m benchmarks.similarity [--peers PYTHON] [--json FILE]``.

160,000 users × 60,000 products × 25 million events, drawn from power laws with a seed. Every contestant finds the 50
nearest products by cosine in the same matrix, on two cores, in a process of its own. Ours also counts common users and
leaves out pairs with fewer than two. ``--peers`` or AISLE_PEERS_PYTHON names a Python with the packages of
benchmarks/requirements.txt.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from scipy import sparse

from benchmarks.all_pairs import CONTESTANTS
from benchmarks.frame import Bench, Row

USERS: Final = 160_000
PRODUCTS: Final = 60_000
EVENTS: Final = 25_000_000
# the n-th most active user, or most popular product, has n^-exponent of the first's share
USER_EXPONENT: Final = 0.6
PRODUCT_EXPONENT: Final = 0.8
SEED: Final = 1
# runs per contestant, of which the best counts; in turns, so that other load on the machine affects all alike
ROUNDS: Final = 2
PEAK_MB: Final = 4096.0

# what ``all_pairs`` prints, by contestant
Measurements = dict[str, dict[str, float]]


def random_matrix(users: int = USERS, products: int = PRODUCTS, events: int = EVENTS, seed: int = SEED) -> Any:
    """Return the summed weights of views, carts and purchases (80, 15 and 5 %), shape (users, products)."""
    random = np.random.default_rng(seed)

    def draw(n: int, exponent: float) -> Any:
        cumulative = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
        places = np.searchsorted(cumulative, random.random(events) * cumulative[-1])
        return random.permutation(n).astype(np.int32)[np.minimum(places, n - 1)]

    rows, columns = draw(users, USER_EXPONENT), draw(products, PRODUCT_EXPONENT)
    kinds = np.searchsorted([0.8, 0.95], random.random(events), side="right")
    weights = np.asarray([1, 3, 5], np.float32)[kinds]
    return sparse.csr_array(sparse.coo_array((weights, (rows, columns)), shape=(users, products)))


def run_contestant(name: str, python: str, path: Path) -> dict[str, float] | None:
    """Run a contestant and return its measurements; if it fails, print the reason on standard error and return None."""
    program = Path(__file__).parent / "all_pairs.py"
    # BLAS threads inside the contestants' threads would compete for the same cores
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, "-W", "ignore", str(program), name, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        print(f"{name}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}", file=sys.stderr)
        return None
    measurements: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measurements


def measure(peers_python: str, report_progress: Callable[[str], None], rounds: int = ROUNDS) -> Measurements:
    """Return each contestant's best run, without the peers that are not installed."""
    best: Measurements = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.npz"
        user_items = random_matrix()
        report_progress(
            f"similarity: {user_items.nnz:,} pairs of {USERS:,} users and {PRODUCTS:,} products from {EVENTS:,} events"
        )
        np.savez(
            path,
            data=user_items.data,
            indices=user_items.indices,
            indptr=user_items.indptr,
            shape=user_items.shape,
        )
        del user_items
        for _ in range(rounds):
            for name in CONTESTANTS:
                run = run_contestant(name, sys.executable if name == "ours" else peers_python, path)
                if run is None:
                    continue
                report_progress(
                    f"{name}: {run['seconds']:.1f} s, {run['cpu_seconds']:.1f} s of processor, {run['peak_mb']:.0f} MB"
                )
                if name not in best or run["seconds"] < best[name]["seconds"]:
                    best[name] = run
    return best


def rows_of(measurements: Measurements) -> list[Row]:
    """Return the rows of the table."""
    ours = measurements["ours"]
    peers = {name: peer for name, peer in measurements.items() if name != "ours"}
    size = f"{USERS:,} users, {PRODUCTS:,} products, {EVENTS:,} events; top 50 with co-occurrence of 2 or more"
    table = [Row("similarity at scale", ours["seconds"], "s", note=size)]
    if peers:
        fastest = min(peers, key=lambda name: peers[name]["seconds"])
        note = ", ".join(f"{name} {peer['seconds']:.1f} s" for name, peer in peers.items())
        ratio = ours["seconds"] / peers[fastest]["seconds"]
        table.append(Row(f"… against the fastest, {fastest}", ratio, "×", 1.0, at_most=True, note=note))
        cpu_ratio = ours["cpu_seconds"] / min(peer["cpu_seconds"] for peer in peers.values())
        table.append(Row("… processor time against the least", cpu_ratio, "×"))
    table.append(Row("… peak memory", ours["peak_mb"], "MB", PEAK_MB, at_most=True))
    return table


def rows(bench: Bench) -> list[Row]:
    """Measure, for ``./aisle bench similarity``."""
    return rows_of(measure(os.environ.get("AISLE_PEERS_PYTHON", sys.executable), bench.say))


def main() -> int:
    """Run this benchmark alone. Exit code 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=os.environ.get("AISLE_PEERS_PYTHON", sys.executable), metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    measurements = measure(options.peers, lambda line: print(line, file=sys.stderr, flush=True), options.rounds)
    table = rows_of(measurements)
    for row in table:
        print(" | ".join(row.cells()))
    if options.json:
        options.json.write_text(json.dumps(measurements, indent=1))
    return 1 if any(row.reached is False for row in table) else 0


if __name__ == "__main__":
    sys.exit(main())
