"""`./aisle up` and the commands about a running system, as processes."""

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.state import read_json
from tests.running import READY, Aisle, left


@pytest.fixture(scope="module")
def aisle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """A system that runs for all tests of this module; stopped by Ctrl-C at the end."""
    made = Aisle(tmp_path_factory.mktemp("system") / "it's a state")
    made.start()
    family = made.family()
    yield made
    if made.process is not None and made.process.poll() is None:
        assert made.stop() == 0
        assert left(family) == []
        assert made.said().endswith("Stopping ...\nStopped.\n")


def test_it_serves_health_and_every_function(aisle: Aisle) -> None:
    found = httpx.get(f"{aisle.url}/health").json()
    assert (found["status"], found["database"], found["redis"]) == ("healthy", "healthy", "healthy")
    assert "timestamp" in found
    assert httpx.get(f"{aisle.url}/products?page_size=1").status_code == 200
    assert httpx.get(f"{aisle.url}/products/?page_size=1").status_code == 200
    paths = set(httpx.get(f"{aisle.url}/openapi.json").json()["paths"])
    assert {"/products", "/events", "/recommendations", "/admin/dashboard"} <= paths
    assert httpx.get(f"{aisle.url}/docs").status_code == 200
    assert httpx.get(f"http://localhost:{aisle.port}/").json()["name"] == "Aisle"


def test_its_settings_go_through_a_shell(aisle: Aisle) -> None:
    printed = aisle.run("env").stdout
    assert all(re.fullmatch(r"export [A-Z_]+='.*'", line) for line in printed.splitlines())
    script = f'{printed}\nprintf "%s\\n" "$ENVIRONMENT" "$GOOGLE_CLOUD_PROJECT" "$ADMIN_TOKEN" "$DATABASE_URL"'
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")
    wanted = read_json(aisle.home / "run.json")["environment"]
    assert shown[:4] == ["local", "aisle-local", wanted["ADMIN_TOKEN"], wanted["DATABASE_URL"]]
    for name in ("run.json", "state.json", "lock"):
        assert (aisle.home / name).stat().st_mode & 0o077 == 0


def test_status_shows_parts_health_and_runs(aisle: Aisle) -> None:
    # none that the scheduler may be running at this very moment
    assert aisle.run("job", "daily_stats").returncode == 0
    done = aisle.run("status")
    assert done.returncode == 0, done.stdout
    for name in (
        "Supervisor",
        "PostgreSQL",
        "Redis",
        "Pub/Sub",
        "Gateway",
        "Events worker",
        "Jobs worker",
        "Scheduler",
    ):
        assert re.search(rf"^{name} +running +\d+ ", done.stdout, re.MULTILINE), done.stdout
    assert "is healthy: database healthy, redis healthy" in done.stdout
    assert re.search(r"^daily_stats +\d{4}-.* +succeeded +[\d.]+$", done.stdout, re.MULTILINE), done.stdout


def test_jobs_answer_and_refuse(aisle: Aisle) -> None:
    assert json.loads(aisle.run("job", "daily_stats").stdout)["job"] == "daily_stats"
    wrong = aisle.run("job", "daily_stats", "speed=9")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("aisle: Job daily_stats failed (422): ")
    assert "speed" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_the_database_and_the_cache_can_be_opened(aisle: Aisle) -> None:
    assert aisle.run("psql", "-Atc", "SELECT count(*) FROM products").stdout == "0\n"
    assert aisle.run("redis-cli", "SET", "greeting", "hi there").stdout == "OK\n"
    piped = aisle.run("redis-cli", stdin='GET greeting\nSET "a b" 1\nINCR "a b"\nNONSENSE\nquit\n').stdout.splitlines()
    assert piped[:3] == ['"hi there"', "OK", "(integer) 2"]
    assert piped[3].startswith("(error) ")
    assert aisle.run("redis-cli", "NONSENSE").returncode == 1


def test_a_second_one_is_refused_with_the_first_named(aisle: Aisle) -> None:
    assert aisle.process is not None
    done = aisle.run("up")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"process {aisle.process.pid}, http://localhost:{aisle.port}" in done.stderr
    assert "AISLE_HOME" in done.stderr
    refused = aisle.run("reset", "--yes")
    assert refused.returncode == 2
    assert "Nothing was deleted" in refused.stderr
    assert httpx.get(f"{aisle.url}/health").json()["status"] == "healthy"


def test_a_taken_port_is_refused_with_its_user_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = Aisle(tmp_path / "state").run("up", AISLE_PORT=str(port))
    assert done.returncode == 2
    assert done.stderr.startswith(f"aisle: Port {port} is in use by process {os.getpid()} (")
    assert f"AISLE_PORT={port + 1 if port < 65_535 else 8080} ./aisle up" in done.stderr
    assert done.stdout == ""


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # /proc takes no folders from anybody, root included
    done = Aisle(tmp_path / "state").run("up", AISLE_HOME="/proc/aisle")
    assert done.returncode == 2
    assert done.stderr.startswith("aisle: The state folder /proc/aisle cannot be written")
    assert "Set AISLE_HOME" in done.stderr


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("AISLE_PORT", "http", "AISLE_PORT cannot be 'http'"),
        ("AISLE_DATA", "books", "AISLE_DATA cannot be 'books'"),
        ("AISLE_PUBSUB", "kafka", "AISLE_PUBSUB cannot be 'kafka'"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "Nothing answers at 127.0.0.1:1, which REDIS_URL names"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(tmp_path: Path, setting: str, value: str, message: str) -> None:
    done = Aisle(tmp_path / "state").run("up", **{setting: value})
    assert done.returncode in (1, 2)
    assert done.stderr.startswith(f"aisle: {message}")
    assert done.stderr.count("\n") == 1


def test_an_event_reaches_its_function(aisle: Aisle) -> None:
    environment = read_json(aisle.home / "run.json")["environment"]
    columns = "name, price, quantity"
    made = aisle.run("psql", "-Atqc", f"INSERT INTO products ({columns}) VALUES ('Lantern', 3, 5) RETURNING id")
    product = int(made.stdout)
    event: dict[str, Any] = {"user_id": "someone", "product_id": product, "event_type": "view"}
    assert httpx.post(f"{aisle.url}/events", json=event).status_code == 202
    deadline = time.monotonic() + 60
    while aisle.run("psql", "-Atc", "SELECT count(*) FROM events").stdout != "1\n":
        assert time.monotonic() < deadline, (aisle.home / "logs" / "events.log").read_text()
    assert environment["JOBS_URL"].endswith("/_jobs")


def test_a_crash_is_reported_and_the_others_are_stopped(aisle: Aisle) -> None:
    assert aisle.process is not None
    family = aisle.family()
    aisle.parts()["Events worker"].kill()
    assert aisle.process.wait(60) == 1
    said = aisle.said()
    assert "Events worker was ended by SIGKILL. Its log, " in said
    assert "Traceback" not in said.rpartition(READY)[2]
    assert left(family) == []
    assert not (aisle.home / "run.json").exists()


def test_the_next_start_finds_what_was_stored_and_nothing_outlives_a_kill(aisle: Aisle) -> None:
    aisle.start()
    assert "migration" not in aisle.said()
    # what was stored before the crash
    assert aisle.run("psql", "-Atc", "SELECT count(*) FROM events").stdout == "1\n"
    family = aisle.family()
    assert len(family) > 8
    assert aisle.process is not None
    aisle.process.kill()
    aisle.process.wait()
    assert left(family) == []
    # run.json is still there, but nobody holds the folder
    assert aisle.run("status").returncode == 1
    assert aisle.run("reset", "--yes").returncode == 0
    assert not aisle.home.exists()
