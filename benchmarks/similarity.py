"""Similarity at scale beside the fastest libraries: ``python -m benchmarks.similarity [--peers PYTHON] [--json FILE]``.

160,000 users × 60,000 products × 25 million events, both by a power law, made by seed. Everyone finds the 50 nearest by
cosine of every product in the same matrix, on two cores, in a process of their own; ours counts common users and leaves
out pairs with fewer than two besides. The peers are those of benchmarks/requirements.txt, installed where ``--peers``
or AISLE_PEERS_PYTHON says.
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
# the best of so many runs each, taken in turns: other work on the machine meets all alike
ROUNDS: Final = 2
PEAK_MB: Final = 4096.0

Told = dict[str, dict[str, float]]


def matrix(users: int = USERS, products: int = PRODUCTS, events: int = EVENTS, seed: int = SEED) -> Any:
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


def once(name: str, python: str, path: Path) -> dict[str, float] | None:
    """Run one contestant and return what it told; None, with the reason on standard error, where it failed."""
    program = Path(__file__).parent / "all_pairs.py"
    # threads inside threads would only get into each other's way
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
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return told


def measure(peers_python: str, say: Callable[[str], None], rounds: int = ROUNDS) -> Told:
    """Return each contestant's best run; peers that are not installed are left out."""
    best: Told = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "matrix.npz"
        made = matrix()
        say(f"similarity: {made.nnz:,} pairs of {USERS:,} users and {PRODUCTS:,} products from {EVENTS:,} events")
        np.savez(path, data=made.data, indices=made.indices, indptr=made.indptr, shape=made.shape)
        del made
        for _ in range(rounds):
            for name in CONTESTANTS:
                told = once(name, sys.executable if name == "ours" else peers_python, path)
                if told is None:
                    continue
                say(
                    f"{name}: {told['seconds']:.1f} s, {told['cpu_seconds']:.1f} s of processor, "
                    f"{told['peak_mb']:.0f} MB"
                )
                if name not in best or told["seconds"] < best[name]["seconds"]:
                    best[name] = told
    return best


def rows_of(told: Told) -> list[Row]:
    """Return the table's rows."""
    mine, peers = told["ours"], {name: one for name, one in told.items() if name != "ours"}
    size = f"{USERS:,} users, {PRODUCTS:,} products, {EVENTS:,} events; top 50 with co-occurrence of 2 or more"
    found = [Row("similarity at scale", mine["seconds"], "s", note=size)]
    if peers:
        fastest = min(peers, key=lambda name: peers[name]["seconds"])
        note = ", ".join(f"{name} {one['seconds']:.1f} s" for name, one in peers.items())
        ratio = mine["seconds"] / peers[fastest]["seconds"]
        found.append(Row(f"… against the fastest, {fastest}", ratio, "×", 1.0, at_most=True, note=note))
        thrift = mine["cpu_seconds"] / min(one["cpu_seconds"] for one in peers.values())
        found.append(Row("… processor time against the least", thrift, "×"))
    found.append(Row("… peak memory", mine["peak_mb"], "MB", PEAK_MB, at_most=True))
    return found


def rows(bench: Bench) -> list[Row]:
    """Measure, for ``./aisle bench similarity``."""
    return rows_of(measure(os.environ.get("AISLE_PEERS_PYTHON", sys.executable), bench.say))


def main() -> int:
    """Run it alone. Exit code 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=os.environ.get("AISLE_PEERS_PYTHON", sys.executable), metavar="PYTHON")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    told = measure(options.peers, lambda line: print(line, file=sys.stderr, flush=True), options.rounds)
    found = rows_of(told)
    for row in found:
        print(" | ".join(row.cells()))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1))
    return 1 if any(row.reached is False for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
