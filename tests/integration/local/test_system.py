"""`./aisle up` and the commands on a running system, run as processes."""

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
import psutil
import pytest

from local.scheduler import over_http
from local.state import read_json
from shared.manifest import manifest
from tests.running import READY, Aisle, pids, still_running, wait_for_part

# the events of users whose ids are like this
EVENTS_OF = "SELECT count(*) FROM events e JOIN users u ON u.id = e.user_id WHERE u.external_id LIKE '{}'"


@pytest.fixture(scope="module")
def aisle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aisle]:
    """A system that runs for all tests of this module; stopped by Ctrl-C at the end."""
    system = Aisle(tmp_path_factory.mktemp("system") / "it's a state")
    system.start()
    family = system.family()
    yield system
    if system.process is not None and system.process.poll() is None:
        assert system.stop() == 0
        assert still_running(family) == []
        assert system.printed().endswith("Stopping ...\nStopped.\n")


def test_it_serves_health_and_every_function(aisle: Aisle) -> None:
    health = httpx.get(f"{aisle.url}/health").json()
    assert (health["status"], health["database"], health["redis"]) == ("healthy", "healthy", "healthy")
    assert "timestamp" in health
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
    printed_back = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.split("\n")
    settings = read_json(aisle.home / "run.json")["environment"]
    assert printed_back[:4] == ["local", "aisle-local", settings["ADMIN_TOKEN"], settings["DATABASE_URL"]]
    for name in ("run.json", "state.json", "lock"):
        assert (aisle.home / name).stat().st_mode & 0o077 == 0


def test_status_shows_parts_health_and_runs(aisle: Aisle) -> None:
    # a job that the scheduler does not run at the same time
    assert aisle.run("job", "daily_stats").returncode == 0
    process = aisle.run("status")
    assert process.returncode == 0, process.stdout
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
        assert re.search(rf"^{name} +running +\d+ ", process.stdout, re.MULTILINE), process.stdout
    assert "is healthy: database healthy, redis healthy" in process.stdout
    assert re.search(r"^daily_stats +\d{4}-.* +succeeded +[\d.]+$", process.stdout, re.MULTILINE), process.stdout


def test_waiting_ends_once_events_have_taken_effect_and_operations_show_them(aisle: Aisle) -> None:
    assert aisle.run("wait").returncode == 0
    environment = read_json(aisle.home / "run.json")["environment"]
    admin = {"Authorization": f"Bearer {environment['ADMIN_TOKEN']}"}
    product = {"external_id": "waited-for", "name": "A lamp", "price": 10, "quantity": 5}
    made = httpx.post(f"{aisle.url}/products", json=product, headers=admin)
    assert made.status_code == 201, made.text
    event = {"user_id": "patient", "product_id": made.json()["id"], "event_type": "view"}
    for _ in range(5):
        assert httpx.post(f"{aisle.url}/events", json=event).status_code == 202
    done = aisle.run("wait")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    viewed = httpx.get(f"{aisle.url}/recently-viewed", params={"user_id": "patient"}).json()["products"]
    assert [each["id"] for each in viewed] == [event["product_id"]]
    assert re.search(r"^update_preferences +0 +-$", aisle.run("status").stdout, re.MULTILINE)
    deadline = time.monotonic() + 60
    accepted = applied = 0
    # the parts report every few seconds
    while min(accepted, applied) < 5 and time.monotonic() < deadline:
        found = httpx.get(f"{aisle.url}/admin/operations", headers=admin, timeout=30).json()
        accepted, applied = (sum(minute[name] for minute in found["traffic"]) for name in ("accepted", "applied"))
        time.sleep(0.2)
    assert min(accepted, applied) >= 5
    assert found["unavailable"] == []
    assert {queue["subscription"]: queue["waiting"] for queue in found["queues"]}["update_preferences"] == 0
    sent = next(route for route in found["routes"] if route["route"] == "POST /events")
    assert (sent["function"], sent["failed"]) == ("events", 0)
    assert sent["requests"] >= 5
    assert 0 < sent["p50_ms"] <= sent["p95_ms"]


def test_jobs_answer_and_refuse(aisle: Aisle) -> None:
    assert json.loads(aisle.run("job", "daily_stats").stdout)["job"] == "daily_stats"
    wrong = aisle.run("job", "daily_stats", "speed=9")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("aisle: Job daily_stats failed (422): ")
    assert "speed" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def test_every_server_listens_on_the_loopback_address_alone(aisle: Aisle) -> None:
    assert aisle.process is not None
    listening = {
        (process.name(), connection.laddr.ip)
        for process in [psutil.Process(aisle.process.pid), *aisle.family()]
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    # the gateway, two workers, PostgreSQL, Valkey and Pub/Sub at least
    assert len(listening) >= 3
    assert {address for _name, address in listening} <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def test_a_job_needs_the_token_of_the_running_system(aisle: Aisle) -> None:
    environment = read_json(aisle.home / "run.json")["environment"]
    worker = environment["JOBS_URL"]
    client = httpx.Client(timeout=60)
    for url in (f"{aisle.url}/_jobs", worker):
        assert client.post(f"{url}/daily_stats", json={}).status_code == 401
        wrong = {"Authorization": f"Bearer {environment['JOBS_TOKEN'][:-1]}"}
        assert client.post(f"{url}/daily_stats", json={}, headers=wrong).status_code == 401
        right = {"Authorization": f"Bearer {environment['JOBS_TOKEN']}"}
        assert client.post(f"{url}/daily_stats", json={}, headers=right).json()["job"] == "daily_stats"
        for page in ({"Origin": "https://page.example"}, {"Host": "page.example"}):
            assert client.post(f"{url}/daily_stats", json={}, headers=right | page).status_code == 403
        assert client.post(f"{url}/daily_stats", content="{}", headers=right).status_code == 415
    client.close()
    # what Cloud Scheduler's stand-in sends
    entry = manifest().entries["daily_stats"]
    assert over_http(worker, environment["JOBS_TOKEN"])(entry) is None
    assert (over_http(worker, "another token")(entry) or "").startswith("401")


def test_an_administrator_s_token_runs_jobs_but_reads_no_file_of_the_machine(aisle: Aisle, tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    feed.write_text("external_id,name,price\nprivate,Private,1\n")
    token = read_json(aisle.home / "run.json")["environment"]["ADMIN_TOKEN"]
    headers = {"Authorization": f"Bearer {token}"}
    for url in (f"{aisle.url}/_jobs/import_catalog", f"{aisle.url}/admin/jobs/import_catalog/run"):
        refused = httpx.post(url, json={"source": str(feed)}, headers=headers, timeout=60)
        assert refused.status_code == 422, refused.text
        assert "only ./aisle job and ./aisle load" in refused.json()["detail"]
    run = httpx.post(f"{aisle.url}/admin/jobs/daily_stats/run", json={}, headers=headers, timeout=60)
    assert run.json()["status"] == "succeeded"
    assert json.loads(aisle.run("job", "import_catalog", f"source={feed}").stdout)["created"] == 1
    assert aisle.run("psql", "-Atqc", "DELETE FROM products WHERE external_id = 'private'").returncode == 0


def test_the_database_and_the_cache_can_be_opened(aisle: Aisle) -> None:
    assert aisle.run("psql", "-Atc", "SELECT count(*) FROM products WHERE price < 0").stdout == "0\n"
    assert aisle.run("redis-cli", "SET", "greeting", "hi there").stdout == "OK\n"
    piped = aisle.run("redis-cli", stdin='GET greeting\nSET "a b" 1\nINCR "a b"\nNONSENSE\nquit\n').stdout.splitlines()
    assert piped[:3] == ['"hi there"', "OK", "(integer) 2"]
    assert piped[3].startswith("(error) ")
    assert aisle.run("redis-cli", "NONSENSE").returncode == 1


def test_a_second_one_is_refused_with_the_first_named(aisle: Aisle) -> None:
    assert aisle.process is not None
    process = aisle.run("up")
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1
    assert f"process {aisle.process.pid}, http://localhost:{aisle.port}" in process.stderr
    assert "AISLE_HOME" in process.stderr
    refused = aisle.run("reset", "--yes")
    assert refused.returncode == 2
    assert "Nothing was deleted" in refused.stderr
    assert httpx.get(f"{aisle.url}/health").json()["status"] == "healthy"


def test_a_taken_port_is_refused_with_its_user_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = Aisle(tmp_path / "state").run("up", AISLE_PORT=str(port))
    assert process.returncode == 2
    assert process.stderr.startswith(f"aisle: Port {port} is in use by process {os.getpid()} (")
    assert f"AISLE_PORT={port + 1 if port < 65_535 else 8080} ./aisle up" in process.stderr
    assert process.stdout == ""


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    # not even root can create a folder in /proc
    process = Aisle(tmp_path / "state").run("up", AISLE_HOME="/proc/aisle")
    assert process.returncode == 2
    assert process.stderr.startswith("aisle: The state folder /proc/aisle cannot be written")
    assert "Set AISLE_HOME" in process.stderr


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("AISLE_PORT", "http", "AISLE_PORT cannot be 'http'"),
        ("AISLE_DATA", "books", "AISLE_DATA cannot be 'books'"),
        ("AISLE_PUBSUB", "kafka", "AISLE_PUBSUB cannot be 'kafka'"),
        ("REDIS_URL", "redis://127.0.0.1:1/0", "Nothing answers at 127.0.0.1:1, the address in REDIS_URL"),
    ],
)
def test_a_setting_that_cannot_be_is_one_line(tmp_path: Path, setting: str, value: str, message: str) -> None:
    process = Aisle(tmp_path / "state").run("up", **{setting: value})
    assert process.returncode in (1, 2)
    assert process.stderr.startswith(f"aisle: {message}")
    assert process.stderr.count("\n") == 1


def test_an_event_reaches_its_function(aisle: Aisle) -> None:
    environment = read_json(aisle.home / "run.json")["environment"]
    columns = "name, price, quantity"
    inserted = aisle.run("psql", "-Atqc", f"INSERT INTO products ({columns}) VALUES ('Lantern', 3, 5) RETURNING id")
    product = int(inserted.stdout)
    event: dict[str, Any] = {"user_id": "someone", "product_id": product, "event_type": "view"}
    assert httpx.post(f"{aisle.url}/events", json=event).status_code == 202
    deadline = time.monotonic() + 60
    while aisle.run("psql", "-Atc", EVENTS_OF.format("someone")).stdout != "1\n":
        assert time.monotonic() < deadline, (aisle.home / "logs" / "events.log").read_text()
    assert environment["JOBS_URL"].endswith("/_jobs")


def test_a_part_that_ends_is_started_again_and_nothing_is_lost(aisle: Aisle) -> None:
    names = ("Events worker", "Gateway", "Pub/Sub", "Redis", "PostgreSQL", "Scheduler", "Jobs worker", "Telemetry")
    before = aisle.parts()
    assert set(names) == set(before)
    inserted = aisle.run("psql", "-Atqc", "INSERT INTO products (name, price) VALUES ('Lamp', 3) RETURNING id")
    product = int(inserted.stdout)
    with httpx.Client(base_url=aisle.url, timeout=60) as client:
        for number, name in enumerate(names):
            event: dict[str, Any] = {"user_id": f"witness-{number}", "product_id": product, "event_type": "view"}
            assert client.post("/events", json=event).status_code == 202
            before[name].kill()
            wait_for_part(aisle, name, before[name].pid)
            assert f"{name} was ended by SIGKILL. It is started again in 0.5 s (1 of 10). Its log: " in aisle.printed()
    assert {name for name, pid in pids(aisle).items() if pid == before[name].pid} == set()
    deadline = time.monotonic() + 90
    while aisle.run("psql", "-Atc", EVENTS_OF.format("witness-%")).stdout != f"{len(names)}\n":
        assert time.monotonic() < deadline, (aisle.home / "logs" / "events.log").read_text()[-3000:]
        time.sleep(0.5)
    assert aisle.run("job", "daily_stats").returncode == 0
    assert aisle.run("status").returncode == 0
    assert aisle.process is not None
    assert aisle.process.poll() is None


def test_a_part_that_ends_again_and_again_ends_the_system(aisle: Aisle) -> None:
    assert aisle.process is not None
    settings = next((aisle.home / "postgres").glob("postgresql.auto.conf"))
    original = settings.read_text()
    family = aisle.family()
    settings.write_text(original + "no_such_setting_in_postgres = 1\n")
    aisle.parts()["PostgreSQL"].kill()
    assert aisle.process.wait(120) == 1
    settings.write_text(original)
    output = aisle.printed()
    assert "PostgreSQL was started again 10 times and ended each time." in output
    assert "PostgreSQL ended with exit code 1. Its log, " in output
    assert "no_such_setting_in_postgres" in output
    assert "Traceback" not in output.rpartition(READY)[2]
    assert still_running(family) == []
    assert not (aisle.home / "run.json").exists()


def test_the_next_start_finds_what_was_stored_and_nothing_outlives_a_kill(aisle: Aisle) -> None:
    aisle.start()
    assert "migration" not in aisle.printed()
    # what was stored before the crash
    assert aisle.run("psql", "-Atc", EVENTS_OF.format("witness-%")).stdout == "8\n"
    assert aisle.run("psql", "-Atc", EVENTS_OF.format("someone")).stdout == "1\n"
    family = aisle.family()
    assert len(family) > 8
    assert aisle.process is not None
    aisle.process.kill()
    aisle.process.wait()
    assert still_running(family) == []
    # run.json is still there, but no process holds the folder
    assert aisle.run("status").returncode == 1
    assert aisle.run("reset", "--yes").returncode == 0
    assert not aisle.home.exists()
