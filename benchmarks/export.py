"""The recommendations of 100,000 active users as files: the job ``user_recommendations`` from end to end.

``python -m benchmarks.export`` measures on the server of DATABASE_URL, in a database that it creates and drops.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.database import scratch
from benchmarks.frame import Bench, Row, run_jobs
from local.places import ROOT

TARGET_S: Final = 600.0
USERS: Final = 100_000
EVENTS: Final = 1_000_000
PRODUCTS: Final = 10_000
USERS_PER_FILE: Final = 10_000


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def measure(users: int = USERS, events: int = EVENTS, products: int = PRODUCTS) -> dict[str, Any]:
    """Load a synthetic shop and write all users' recommendations; write again what is missing without one of the files.

    Return the seconds of both runs, their numbers of users, and the peak memory of the process.
    """
    from jobs.user_recommendations import UserRecommendations, user_recommendations
    from local import data

    with scratch("aisle_bench_export"), tempfile.TemporaryDirectory() as folder:
        data.load("synthetic", {"products": products, "events": events, "users": users}, _say)
        run_jobs(_say)
        parameters = UserRecommendations(destination=folder, users_per_file=USERS_PER_FILE)
        started = time.perf_counter()
        result = user_recommendations.run(parameters)
        seconds = time.perf_counter() - started
        files = sorted(Path(folder).glob("*/part-*.parquet"))
        # as a run that ended during its last file leaves the folder
        files[-1].unlink()
        started = time.perf_counter()
        resumed = user_recommendations.run(parameters)
        return {
            "users": result["users"],
            "rows": result["rows"],
            "files": len(files),
            "seconds": round(seconds, 1),
            "resumed_users": resumed["users"],
            "resumed_seconds": round(time.perf_counter() - started, 1),
            "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }


def rows(bench: Bench) -> list[Row]:
    """Measure in a process of its own, so that the shop and its model are not those of other benchmarks."""
    bench.say(f"export: {USERS:,} users, {EVENTS:,} events, {PRODUCTS:,} products")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.export"],
        cwd=ROOT,
        env=os.environ | bench.environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result = json.loads(done.stdout.splitlines()[-1])
    note = f"{result['users']:,} users, {result['rows']:,} rows in {result['files']} files"
    return [
        Row("recommendations of 100,000 users", result["seconds"], "s", TARGET_S, at_most=True, note=note),
        Row("… again without the last file", result["resumed_seconds"], "s", note=f"{result['resumed_users']:,} users"),
    ]


if __name__ == "__main__":
    print(json.dumps(measure()))
