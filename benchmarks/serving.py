"""Recommendations: cached against an empty function, computed from Postgres, and from a cold start."""

import os
import subprocess
import time
from pathlib import Path

from benchmarks.frame import EMPTY, RUNS, Bench, Row, command, median, wait_for
from benchmarks.load import get, load
from delivery import http
from local.places import ROOT
from local.processes import free_port
from shared import api_keys


def cached(bench: Bench) -> list[Row]:
    """Serve a cached answer to a secret API key over 16 connections, in turns with both empty functions."""
    _, key = api_keys.create("secret")
    request = get("/recommendations?user_id=user-1&k=10", f"X-API-Key: {key}\r\n")
    ours, sync, empty, p99 = [], [], [], []
    with (
        bench.serving("recommendations") as url,
        bench.serving("empty_sync", source=EMPTY) as sync_url,
        bench.serving("empty_async", source=EMPTY) as async_url,
    ):
        load(url, [request], connections=16, seconds=1)
        for _ in range(RUNS):
            run = load(url, [request], connections=16, seconds=2)
            if run.failures:
                raise RuntimeError(f"{run.failures} requests failed")
            ours.append(run.per_second)
            p99.append(run.percentile(0.99))
            sync.append(load(sync_url, [get("/")], connections=16, seconds=2).per_second)
            empty.append(load(async_url, [get("/")], connections=16, seconds=2).per_second)
    return [
        Row("cached recommendation", median(ours), "requests/s"),
        Row(
            "… against an empty synchronous function",
            median(ours) / median(sync),
            "×",
            1.6,
            note=f"{median(sync):,.0f}/s",
        ),
        Row(
            "… against an empty asynchronous function",
            median(ours) / median(empty),
            "×",
            0.25,
            note=f"{median(empty):,.0f}/s",
        ),
        Row("… p99", median(p99), "ms", 15, at_most=True),
    ]


def computed(bench: Bench) -> list[Row]:
    """Compute answers for users without a cached one, with one client."""
    users = [get(f"/recommendations?user_id=user-{number}&k=10") for number in range(2, 1002)]
    p50, p95 = [], []
    with bench.serving("recommendations") as url:
        load(url, users[:50], connections=1)
        part = (len(users) - 50) // RUNS
        for number in range(RUNS):
            run = load(url, users[50 + number * part :][:part], connections=1)
            if run.failures:
                raise RuntimeError(f"{run.failures} requests failed")
            p50.append(run.percentile(0.5))
            p95.append(run.percentile(0.95))
    size = f"{bench.products:,} products, {bench.events:,} events, 2 statements"
    return [
        Row("computed recommendation, p50", median(p50), "ms", 10, at_most=True, note=size),
        Row("… p95", median(p95), "ms", 25, at_most=True),
    ]


def cold_start(bench: Bench) -> list[Row]:
    """Measure the time from starting the process to its first answer, in turns with the empty function."""
    path = "/recommendations?user_id=user-1&k=10"
    with bench.serving("recommendations") as url:
        http.get(url + path)

    def seconds(target: str, source: Path, path: str) -> float:
        port = free_port()
        begun = time.perf_counter()
        process = subprocess.Popen(
            command(target, source, port),
            env=os.environ | bench.environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_for(f"http://127.0.0.1:{port}{path}", process)
            return time.perf_counter() - begun
        finally:
            process.terminate()
            process.wait(10)

    ours, empty = [], []
    for _ in range(RUNS):
        ours.append(seconds("recommendations", ROOT / "main.py", path))
        empty.append(seconds("empty_async", EMPTY, "/"))
    return [
        Row(
            "cold start to the first cached answer",
            median(ours) * 1000,
            "ms",
            note=f"empty: {median(empty) * 1000:,.0f} ms",
        ),
        Row("… against an empty asynchronous function", median(ours) / median(empty), "×", 2.5, at_most=True),
    ]
