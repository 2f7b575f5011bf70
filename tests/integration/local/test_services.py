"""The embedded services: settings, state across stops and kills, and the message if one cannot start."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from local import postgres
from local.errors import CommandError
from local.places import ROOT
from local.services import Services
from local.state import State
from tests.integration.conftest import Running

KEEP_RUNNING = """
import sys, time
from pathlib import Path
from local.services import Services
from local.state import State

state = State.create(Path(sys.argv[1]))
state.lock()
services = Services(state, durable=False, own={})
services.start()
print(*(part.pid for part in services.parts), flush=True)
time.sleep(60)
"""


def start_elsewhere(home: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """Start the services under another process; return it and theirs."""
    parent = subprocess.Popen(
        [sys.executable, "-c", KEEP_RUNNING, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    line = parent.stdout.readline()
    parent.stdout.close()
    return parent, [psutil.Process(int(pid)) for pid in line.split()]


def ended(processes: list[psutil.Process], timeout_s: float = 10) -> bool:
    """Wait until they have ended; a zombie has ended too."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes):
            return True
        time.sleep(0.05)
    return False


def test_the_database_has_every_script_s_lower_case_and_the_extensions(services: Running) -> None:
    with postgres.connection(services.postgres.port or 0, services.password, "template_migrated") as connection:
        ((lower, vector, plain),) = connection.run(
            "SELECT lower('ÄÖÉÑ ΣΑΣ'), to_tsvector('simple', 'Ünïcödé straße')::text, unaccent('Crème')"
        )
        settings = dict(
            connection.run(
                "SELECT name, setting FROM pg_settings WHERE name IN ('jit', 'TimeZone', 'listen_addresses', "
                "'server_encoding', 'random_page_cost', 'max_connections')"
            )
        )
    assert lower.startswith("äöéñ")
    assert vector == "'straße':2 'ünïcödé':1"
    assert plain == "Creme"
    assert settings == {
        "jit": "off",
        "TimeZone": "UTC",
        "listen_addresses": "127.0.0.1",
        "server_encoding": "UTF8",
        "random_page_cost": "1.1",
        "max_connections": "100",
    }


def test_a_wrong_password_opens_nothing(services: Running) -> None:
    from pg8000.exceptions import DatabaseError
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    with pytest.raises(DatabaseError), postgres.connection(services.postgres.port or 0, "guess"):
        pass
    address = {"port": services.redis.port or 0, "password": "guess"}
    with Redis(**address, retry=Retry(NoBackoff(), 0)) as client, pytest.raises(RedisError):
        client.ping()


def test_the_cache_forgets_what_is_old_as_memorystore_does(services: Running) -> None:
    from redis import Redis

    with Redis.from_url(services.environment["REDIS_URL"], decode_responses=True) as client:
        assert client.config_get("maxmemory*")["maxmemory-policy"] == "allkeys-lru"
        assert client.config_get("maxmemory")["maxmemory"] == str(256 * 2**20)


def test_as_root_the_database_has_a_user_without_rights(services: Running) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has rights to give up")
    process = psutil.Process(services.postgres.pid)
    assert 0 not in process.uids()
    effective = next(
        line.split()[1] for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "CapEff" in line
    )
    # nothing, or one of the two capabilities to pass closed folders
    assert int(effective, 16) in (0, 1 << 1, 1 << 2)


def test_data_and_ports_survive_a_stop_and_a_kill(tmp_path: Path) -> None:
    state = State.create(tmp_path / "state")
    with Services(state, own={}) as services:
        ports = [part.port for part in services.parts]
        with postgres.connection(ports[0] or 0, state.secret("postgres"), "aisle") as connection:
            connection.run("CREATE TABLE kept (n int)")
        # as a power cut would: nothing is cleaned up
        services.parts[0].process.kill()
        services.parts[0].process.wait()
    assert (postgres.data_folder(state) / "postmaster.pid").exists()
    # after a reboot the process id in the file may belong to another program
    file = postgres.data_folder(state) / "postmaster.pid"
    file.write_text(file.read_text().replace(file.read_text().split()[0], str(os.getpid()), 1))
    with Services(State.create(tmp_path / "state"), own={}) as services:
        assert [part.port for part in services.parts] == ports
        with postgres.connection(ports[0] or 0, state.secret("postgres"), "aisle") as connection:
            assert connection.run("SELECT count(*) FROM kept") == [[0]]


def test_nothing_outlives_a_killed_parent_and_the_next_start_is_clean(tmp_path: Path) -> None:
    parent, processes = start_elsewhere(tmp_path / "state")
    assert len(processes) == 3
    children = [child for process in processes for child in process.children(recursive=True)]
    assert children
    parent.kill()
    parent.wait()
    # at once, while they are ending
    with Services(State.create(tmp_path / "state"), durable=False, own={}) as services:
        assert all(part.running() for part in services.parts)
    assert ended(processes + children)


def test_a_normal_end_stops_all(tmp_path: Path) -> None:
    parent, processes = start_elsewhere(tmp_path / "state")
    parent.send_signal(signal.SIGINT)
    parent.wait()
    assert ended(processes)


def test_a_service_that_cannot_start_shows_its_log(tmp_path: Path) -> None:
    state = State.create(tmp_path / "state")
    with Services(state, durable=False, own={}):
        pass
    (postgres.data_folder(state) / "PG_VERSION").write_text("12\n")
    services = Services(state, durable=False, own={})
    with pytest.raises(
        CommandError, match=r"(?s)PostgreSQL ended with exit code 1.*postgres\.log, ends with:.*incompatible"
    ):
        services.start()
    assert services.parts == []


def test_services_that_the_environment_names_are_not_started(services: Running, tmp_path: Path) -> None:
    own = {name: services.environment[name] for name in ("DATABASE_URL", "REDIS_URL", "PUBSUB_EMULATOR_HOST")}
    with Services(State.create(tmp_path / "state"), own=own | {"GOOGLE_CLOUD_PROJECT": "mine"}) as started:
        assert started.parts == []
        assert started.environment["GOOGLE_CLOUD_PROJECT"] == "mine"
        assert started.environment["DATABASE_URL"] == own["DATABASE_URL"]
