"""The engine with Cloud SQL's real connector, against a stand-in for the API and the embedded PostgreSQL."""

import datetime
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shared.clients import cloud_sql, postgres, postgres_engine, postgres_wire
from shared.errors import DatabaseUnavailable
from tests.integration.cloud_sql_server import FUNCTION, INSTANCE, Api, Proxy
from tests.integration.cloud_sql_server import cloud_sql as stand_in
from tests.integration.conftest import Running, settings_of

Cloud = tuple[Api, Proxy]


@pytest.fixture
def cloud(
    services: Running,
    cloud_sql_users: tuple[str, ...],
    env: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cloud]:
    """The settings that Terraform gives a function, on a clean database."""
    import google.cloud.sql.connector.connector as library

    with stand_in(tmp_path, services.postgres.port or 0) as (api, proxy, credentials):
        monkeypatch.setattr(cloud_sql, "API", api.url)
        monkeypatch.setattr(library, "SERVER_PROXY_PORT", proxy.port)
        settings = {
            "DATABASE_URL": "",
            "CLOUD_SQL_INSTANCE": INSTANCE,
            "DATABASE_USER": FUNCTION,
            "DATABASE_POOL_SIZE": "2",
            "DATABASE_NAME": env["DATABASE_URL"].rsplit("/", 1)[1],
            "GOOGLE_APPLICATION_CREDENTIALS": str(credentials),
        }
        with settings_of(settings):
            yield api, proxy


def test_a_function_logs_in_as_itself_over_mutual_tls(cloud: Cloud) -> None:
    _api, proxy = cloud
    assert postgres.read("SELECT current_user")[0][0] == FUNCTION
    assert "client" in proxy.clients[0]


def test_connections_of_a_pool_share_one_certificate(cloud: Cloud) -> None:
    api, proxy = cloud
    with postgres.transaction(), postgres.transaction():
        pass
    assert len(proxy.clients) == 2
    assert api.signed == 1


def test_the_next_connection_renews_an_expired_certificate(cloud: Cloud) -> None:
    api, proxy = cloud
    # less than the connector's margin, so it counts as expired
    api.lifetime = datetime.timedelta(seconds=30)
    postgres.read("SELECT 1")
    proxy.cut()
    assert postgres.read("SELECT 2")[0][0] == 2
    assert api.signed == 2


def test_connections_that_a_failover_broke_are_replaced(cloud: Cloud) -> None:
    _api, proxy = cloud
    postgres.read("SELECT 1")
    proxy.cut()
    assert postgres.read("SELECT 2")[0][0] == 2


def test_a_connection_that_was_idle_for_too_long_is_replaced(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    first = postgres.read("SELECT pg_backend_pid()")[0][0]
    assert postgres.read("SELECT pg_backend_pid()")[0][0] == first
    monkeypatch.setattr(cloud_sql, "IDLE_S", 0.0)
    assert postgres.read("SELECT pg_backend_pid()")[0][0] != first


def test_without_permission_the_database_is_unavailable(cloud: Cloud) -> None:
    api, _proxy = cloud
    api.down = True
    with pytest.raises(DatabaseUnavailable):
        postgres.read("SELECT 1")


def test_a_silent_connection_is_given_up_in_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    _api, proxy = cloud
    monkeypatch.setattr(postgres_wire, "GRACE_S", 0.5)
    with settings_of({"STATEMENT_TIMEOUT_S": "1"}):
        postgres.read("SELECT 1")
        proxy.lose()
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            postgres.read("SELECT 2")
        assert 1.5 <= time.monotonic() - began < 10
        time.sleep(postgres_engine.BREAKER_S)
        assert postgres.read("SELECT 3")[0][0] == 3


def test_the_kernel_gives_a_lost_peer_up(cloud: Cloud) -> None:
    with postgres.transaction() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        unacknowledged_ms = driver._usock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert unacknowledged_ms == postgres_wire.UNACKNOWLEDGED_MS
        assert driver._usock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


def test_lost_connections_are_found_long_before_their_deadline(cloud: Cloud) -> None:
    _api, proxy = cloud
    with settings_of({"STATEMENT_TIMEOUT_S": "60", "DATABASE_TIMEOUT_S": "5"}), ThreadPoolExecutor(2) as pool:
        with postgres.transaction(), postgres.transaction():
            pass
        proxy.lose()
        # both connections of the pool
        lost = [pool.submit(postgres.read, "SELECT 1") for _ in range(2)]
        began = time.monotonic()
        while True:
            try:
                postgres.read("SELECT 1")
                break
            except DatabaseUnavailable:
                assert time.monotonic() - began < 30
                time.sleep(0.2)
        assert [len(future.result(5)) for future in lost] == [1, 1]
