"""Before a delivery that migrates, the database is backed up; a delivery without migrations makes no backup."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from delivery import backup, identity
from local.apps import create
from tests.integration.conftest import Running, settings_of
from tests.integration.delivery.servers import WsgiServer

INSTANCE = "shop-test-123:europe-west1:aisle"


class CloudSql:
    """Cloud SQL's API and a build's metadata server: a backup is pending twice, then done."""

    def __init__(self, outcome: dict[str, object] | None = None) -> None:
        self.calls: list[tuple[str, str]] = []
        self.body: dict[str, str] = {}
        self.outcome = outcome or {}

    def __call__(self, environ: dict, start: Callable) -> list[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path.startswith("/metadata"):
            start("200 OK", [])
            return [b"an-identity-token" if "identity" in path else b'{"access_token": "an-access-token"}']
        assert environ["HTTP_AUTHORIZATION"] == "Bearer an-access-token"
        self.calls.append((method, path))
        start("200 OK", [])
        if method == "POST":
            self.body = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            return [json.dumps({"name": "op-1", "status": "PENDING"}).encode()]
        is_done = len(self.calls) > 3
        return [json.dumps({"name": "op-1", "status": "DONE" if is_done else "RUNNING"} | self.outcome).encode()]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[CloudSql], int]:
    """Return a function that runs the command against the real migrate job and a stand-in for Cloud SQL."""

    def run_against(api: CloudSql) -> int:
        file = tmp_path / "outputs.json"
        with WsgiServer(create("migrate")) as migrate_url, WsgiServer(api) as url:
            monkeypatch.setattr(identity, "METADATA", f"{url}/metadata")
            monkeypatch.setattr(backup, "API", url)
            monkeypatch.setattr(backup, "PAUSE_S", 0.0)
            values = {"urls": {"migrate": migrate_url}, "database": {"instance": INSTANCE, "name": "aisle"}}
            file.write_text(json.dumps({name: {"value": value} for name, value in values.items()}))
            return backup.main(["--outputs", str(file)])

    return run_against


@pytest.fixture
def empty(services: Running) -> Iterator[None]:
    """A database in which no migration has run."""
    services.administrate("CREATE DATABASE before_the_backup")
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url("before_the_backup")}):
            yield
    finally:
        services.administrate("DROP DATABASE before_the_backup WITH (FORCE)")


def test_a_pending_migration_waits_for_a_backup(
    empty: None, run: Callable[[CloudSql], int], capsys: pytest.CaptureFixture[str]
) -> None:
    api = CloudSql()
    assert run(api) == 0
    assert api.calls[0] == ("POST", "/v1/projects/shop-test-123/instances/aisle/backupRuns")
    assert api.calls[1:] == [("GET", "/v1/projects/shop-test-123/operations/op-1")] * 3
    assert api.body == {"description": "before migration 0001_shop"}
    assert "The backup is complete." in capsys.readouterr().out
    # asking has migrated nothing
    assert run(CloudSql()) == 0
    assert "Backing up before 0001_shop" in capsys.readouterr().out


def test_without_a_pending_migration_there_is_no_backup(
    env: object, run: Callable[[CloudSql], int], capsys: pytest.CaptureFixture[str]
) -> None:
    api = CloudSql()
    assert run(api) == 0
    assert api.calls == []
    assert "no backup" in capsys.readouterr().out


def test_a_failed_backup_stops_the_delivery(
    empty: None, run: Callable[[CloudSql], int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(CloudSql({"error": {"errors": [{"code": "INTERNAL"}]}})) == 1
    assert "INTERNAL" in capsys.readouterr().err


def test_a_refused_backup_stops_the_delivery(
    empty: None, run: Callable[[CloudSql], int], capsys: pytest.CaptureFixture[str]
) -> None:
    class Refusing(CloudSql):
        def __call__(self, environ: dict, start: Callable) -> list[bytes]:
            if environ["PATH_INFO"].startswith("/metadata"):
                return super().__call__(environ, start)
            start("403 Forbidden", [])
            return [b"no permission"]

    assert run(Refusing()) == 1
    assert "Cloud SQL answers 403: no permission" in capsys.readouterr().err
