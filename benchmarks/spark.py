"""Spark beside one machine: equal results, and the cost by size and number of blocks.

``python -m benchmarks.spark [--events N …] [--orders Q …] [--json FILE] [--add | --stored] [--plot FILE]``, in an
environment with pyspark 4.0.1 and Java 17 or 21 (CONTRIBUTING.md). Events are drawn from power laws with a seed, as in
benchmarks/similarity.py; users and products grow with them. Each size is trained once by the local engine and once on
Spark for each order of blocks, by the same program and files as in the cloud, in a process of its own; without orders,
by the local engine alone. Seconds are of processors, of all processes together, since other load makes little
difference to them; the comparison is of every neighbour, to the last bit. The plot continues the lines to FURTHER
events, by their last growth.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import fsspec
import numpy as np
import psutil
import pyarrow.parquet as pq

from benchmarks.growth_plot import Series, draw_growth
from benchmarks.similarity import PRODUCT_EXPONENT, SEED, USER_EXPONENT
from jobs.data.history import EPOCH, History, history_of
from jobs.data.weighting import Weighting, training_matrix
from jobs.models.pairs import count_pairs, score_bytes
from jobs.models.text_weights import bm25_neighbours
from jobs.spark.events import history_of_users, table_of
from jobs.spark.results import read_neighbours
from jobs.tuning.fitting import NEIGHBOURS

EVENTS: Final = (1_000_000, 3_000_000, 10_000_000)
ORDERS: Final = (1, 2, 3, 5)
EVENTS_OF_A_USER: Final = 150
EVENTS_OF_A_PRODUCT: Final = 400
DAYS: Final = 90
PARAMETERS: Final[dict[str, Any]] = {"k1": 2.0, "b": 0.5, "min_co_occurrence": 2}
WEIGHTING: Final[dict[str, Any]] = {"half_life_days": 30.0, "repeated": "sum"}
MODEL: Final = {"algorithm": "bm25", "parameters": PARAMETERS, "weighting": WEIGHTING}
# where the plot's lines end, beyond what was measured: what 90 days of 200 events/s at the peak have
FURTHER: Final = 622_000_000
# seconds between two looks at the processes
SAMPLE_S: Final = 0.25


def random_history(events: int, seed: int = SEED) -> History:
    """Return events of users and products whose shares follow power laws."""
    random = np.random.default_rng(seed)

    def draw(n: int, exponent: float) -> Any:
        cumulative = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
        places = np.searchsorted(cumulative, random.random(events) * cumulative[-1])
        return random.permutation(n).astype(np.int64)[np.minimum(places, n - 1)]

    users = draw(max(1, events // EVENTS_OF_A_USER), USER_EXPONENT)
    products = draw(max(1, events // EVENTS_OF_A_PRODUCT), PRODUCT_EXPONENT)
    weights = np.array([1, 3, 5], np.float32)[np.searchsorted([0.8, 0.95], random.random(events), side="right")]
    times = random.integers(0, DAYS * 86_400, events) * 1_000_000
    order = np.lexsort((weights, products, users, times))
    moments = EPOCH + times[order].astype("timedelta64[us]")
    return history_of(users[order], products[order], weights[order], moments)


def train_locally(events: Path, output: Path) -> None:
    """Train by the local engine from the same file, and write its neighbours: the child process of ``measure``."""
    table = pq.read_table(events)
    history = history_of_users([table], np.unique(table["product_id"].to_numpy()))
    matrix = training_matrix(history, history.times.max(), Weighting(**WEIGHTING))
    neighbours = bm25_neighbours(matrix, NEIGHBOURS, **PARAMETERS)
    np.savez(
        output,
        product_ids=history.product_ids,
        indices=neighbours.indices,
        scores=neighbours.scores,
        counts=neighbours.co_occurrence,
        multiplications=count_pairs(matrix),
        entries=matrix.nnz,
    )


def run(command: list[str]) -> dict[str, float]:
    """Run a command and return the seconds of clock and processors, and the most memory, of it and its children."""
    started, seconds, peak = time.perf_counter(), dict[int, float](), 0
    child = subprocess.Popen(command, env=os.environ | {"PYSPARK_PYTHON": sys.executable, "OPENBLAS_NUM_THREADS": "1"})
    root = psutil.Process(child.pid)
    while child.poll() is None:
        in_use = 0
        for process in [root, *root.children(recursive=True)] if root.is_running() else []:
            try:
                times = process.cpu_times()
                seconds[process.pid] = times.user + times.system
                in_use += process.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, in_use)
        time.sleep(SAMPLE_S)
    if child.returncode:
        raise SystemExit(f"{' '.join(command[:6])} … failed with status {child.returncode}")
    return {"clock_s": time.perf_counter() - started, "cpu_s": sum(seconds.values()), "peak_mb": peak / 1e6}


def is_equal(local: Path, output: Path) -> bool:
    """Return whether all neighbours, scores and counts are the same to the last bit."""
    ours = np.load(local)
    product_ids, neighbours = read_neighbours(fsspec.filesystem("file"), str(output), [MODEL], [1], NEIGHBOURS)
    has_any = (ours["indices"] >= 0).any(axis=1)
    indices = np.where(ours["indices"] >= 0, ours["product_ids"][ours["indices"]], -1)[has_any]
    return bool(
        np.array_equal(ours["product_ids"][has_any], product_ids)
        and np.array_equal(indices, np.where(neighbours.indices >= 0, product_ids[neighbours.indices], -1))
        and ours["scores"][has_any].tobytes() == neighbours.scores.tobytes()
        and np.array_equal(ours["counts"][has_any], neighbours.co_occurrence)
    )


def measure(events: int, orders: list[int]) -> list[dict[str, Any]]:
    """Return a row for the local engine and one for each order of blocks."""
    with tempfile.TemporaryDirectory() as folder:
        (source := Path(folder) / "events").mkdir()
        pq.write_table(table_of(random_history(events)), source / "events.parquet")
        local = Path(folder) / "local.npz"
        command = [sys.executable, "-m", "benchmarks.spark", "--child", str(source / "events.parquet"), str(local)]
        measured = run(command)
        ours = np.load(local)
        n_entries, n_items = int(ours["entries"]), len(ours["product_ids"])
        size = {
            "events": events,
            "pairs": n_entries,
            "products": n_items,
            "multiplications": float(ours["multiplications"]),
            "formula_mb": score_bytes(n_entries, n_items, NEIGHBOURS, workers=os.cpu_count() or 1) / 1e6,
        }
        rows = [size | measured | {"engine": "local", "tasks": 1, "equal": True}]
        report(rows[-1])
        for order in orders:
            output = Path(folder) / f"order-{order}"
            command = [sys.executable, "-m", "jobs.spark.train", "--events", str(source), "--output", str(output)]
            command += ["--models", json.dumps([MODEL]), "--k", str(NEIGHBOURS), "--order", str(order)]
            measured = run(command)
            tasks = 1 if order == 1 else order**2 + order
            rows.append(size | measured | {"engine": "Spark", "tasks": tasks, "equal": is_equal(local, output)})
            report(rows[-1])
    return rows


def extrapolate(points: Sequence[tuple[float, float]]) -> float:
    """Return the value at FURTHER events if the growth between the last two points goes on."""
    (before, less), (last, value) = points[-2:]
    power = math.log(value / less) / math.log(last / before)
    return float(value * (FURTHER / last) ** power)


def plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the growth of both engines as SVG; Spark's with the order that was measured for most sizes."""
    orders = [row["tasks"] for row in rows if row["engine"] == "Spark"]
    tasks = max(set(orders), key=orders.count)
    panels = []
    for title, field in (("processor seconds", "cpu_s"), ("peak MB", "peak_mb")):
        series = []
        for name, chosen in (
            ("one machine", [row for row in rows if row["engine"] == "local"]),
            (f"Spark, {tasks} tasks", [row for row in rows if row["engine"] == "Spark" and row["tasks"] == tasks]),
        ):
            points = sorted((float(row["events"]), float(row[field])) for row in chosen)
            series.append(Series(name, [*points, (float(FURTHER), extrapolate(points))], measured=len(points)))
        panels.append((title, series))
    return draw_growth(panels, "events; dashed: extrapolated")


def sent_entry_us(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the processor µs of an entry sent to a task, from Spark's smallest and largest runs of the same order.

    An entry is sent to q + 1 tasks. What a run costs to start cancels out. None without two sizes of the same order.
    """
    spark = sorted((row for row in rows if row["engine"] == "Spark"), key=lambda row: (row["tasks"], row["pairs"]))
    for tasks, group in groupby(spark, key=lambda row: row["tasks"]):
        runs = list(group)
        small, large = runs[0], runs[-1]
        if large["pairs"] > small["pairs"]:
            order = (math.isqrt(4 * tasks + 1) - 1) // 2
            return float((large["cpu_s"] - small["cpu_s"]) * 1e6 / ((large["pairs"] - small["pairs"]) * (order + 1)))
    return None


def report(row: dict[str, Any]) -> None:
    """Print a row of the table in Markdown."""
    print(
        f"| {row['events']:,} | {row['pairs']:,} | {row['products']:,} | {row['multiplications']:.2g} "
        f"| {row['engine']} | {row['tasks']} | {row['cpu_s']:.0f} | {row['clock_s']:.0f} | {row['peak_mb']:.0f} "
        f"| {'yes' if row['equal'] else 'NO'} |",
        flush=True,
    )


def main() -> int:
    """Measure each size. Exit code 1 if a result was not equal."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spark", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=list(EVENTS))
    parser.add_argument("--orders", type=int, nargs="*", default=list(ORDERS))
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--add", action="store_true", help="keep the rows of --json and add those measured")
    parser.add_argument("--stored", action="store_true", help="measure nothing: use the rows of --json")
    parser.add_argument("--plot", type=Path, help="where to write the plot, as SVG")
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        train_locally(*options.child)
        return 0
    print("| events | pairs | products | multiplications | engine | tasks | processor s | clock s | peak MB | equal |")
    print("|---:|---:|---:|---:|---|---:|---:|---:|---:|---|")
    rows: list[dict[str, Any]] = []
    if (options.stored or options.add) and options.json is None:
        parser.error("--stored and --add need --json")
    if options.stored or options.add:
        rows += json.loads(options.json.read_text())
        for row in rows:
            report(row)
    if not options.stored:
        rows += [row for events in options.events for row in measure(events, options.orders)]
    if options.json and not options.stored:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
    if (cost := sent_entry_us(rows)) is not None:
        print(f"An entry that is sent to a task costs {cost:.2f} µs of processors.")
    if options.plot and cost is None:
        parser.error("a plot needs two sizes with the same order of blocks")
    if options.plot:
        options.plot.write_text(plot(rows))
    return 0 if all(row["equal"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
