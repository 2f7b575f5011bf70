"""`./aisle make synthetic` writes files that the deployed jobs import without a bad row."""

from pathlib import Path

import pytest

from local.errors import CommandError, Refused
from local.make import make
from shared.clients import postgres
from tests.integration.conftest import Serve

SIZES = ("products=40", "users=20", "events=300")


def test_what_is_made_is_imported_whole(env: object, serve: Serve, tmp_path: Path) -> None:
    assert make(["synthetic", "--out", str(tmp_path), *SIZES]) == 0
    catalog = serve("import_catalog").post("/", json={"source": str(tmp_path / "catalog.csv")}).json()
    events = serve("load_events").post("/", json={"source": str(tmp_path / "events.csv")}).json()
    assert postgres.read("SELECT count(*) FROM products")[0][0] == 40, catalog
    assert postgres.read("SELECT count(*) FROM events")[0][0] == 300, events
    assert postgres.read("SELECT count(*) FROM rejected_events")[0][0] == 0, events


def test_a_bucket_is_written_by_gcloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "gcloud"
    program.write_text(f'#!/bin/sh\necho "$*" > {tmp_path}/call\nhead -1 "$3" >> {tmp_path}/call\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert make(["synthetic", "--out=gs://shop-feeds/shop/", *SIZES]) == 0
    call, header = (tmp_path / "call").read_text().splitlines()
    assert call.startswith("storage cp /")
    assert call.endswith("/events.csv gs://shop-feeds/shop/")
    assert "external_id" in header
    assert "wrote 40 products and 300 events to gs://shop-feeds/shop/" in capsys.readouterr().out


def test_a_bucket_that_refuses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gcloud").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "gcloud").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(CommandError, match="gs://shop-feeds: exit code 3"):
        make(["synthetic", "--out", "gs://shop-feeds", *SIZES])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Make what"),
        (("online_retail", "--out", "x"), "Make what"),
        (("synthetic",), "Name a place"),
        (("synthetic", "--out"), "--out must be a folder"),
        (("synthetic", "--out", "s3://x"), "--out must be a folder or begin with gs://"),
        (("synthetic", "--out", "x", "planets=3"), "synthetic"),
        (("synthetic", "--out", "x", "users"), "Expected KEY=VALUE"),
    ],
)
def test_wrong_arguments_are_refused(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Refused, match=message):
        make(arguments)
    assert not list(tmp_path.iterdir())
