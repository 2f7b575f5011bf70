"""`python -m delivery.admin`, and the smoke test that logs in as the admin whom it lets in."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from delivery import admin, smoke
from local.apps import create
from local.gateway import gateway
from shared.clients import postgres
from shared.manifest import manifest
from tests.integration.conftest import Server
from tests.integration.delivery.servers import WsgiServer
from tests.integration.people import register

PASSWORD = "three plums in the rain"


@pytest.fixture
def shop(env: object) -> Iterator[str]:
    """The HTTP functions behind one address."""
    with Server(gateway(manifest(), create)) as server:
        yield server.url


@pytest.fixture
def job(env: object) -> Iterator[str]:
    """The job behind its own address."""
    with WsgiServer(create("first_admin")) as url:
        yield url


def link(output: str) -> str:
    """Return the token of the link in a command's output."""
    return parse_qs(urlsplit(output.strip().splitlines()[-1]).query)["token"][0]


def test_it_prints_a_link_by_which_the_admin_gets_in_and_the_smoke_test_logs_in(
    shop: str, job: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert admin.main(["--url", job, "--without-token", "ada@example.com"]) == 0
    printed = capsys.readouterr().out
    assert "has a new account and is an admin" in printed
    body = {"token": link(printed), "new_password": PASSWORD}
    assert httpx.post(f"{shop}/auth/set-password", json=body).status_code == 204
    monkeypatch.setenv("AISLE_EMAIL", "ada@example.com")
    monkeypatch.setenv("AISLE_PASSWORD", PASSWORD)
    assert smoke.main(["--url", shop]) == 0
    printed = capsys.readouterr().out
    assert printed.count("ok ") == len(smoke.CHECKS) + 5
    assert "an admin reads the dashboard" in printed
    # a wrong password fails it
    monkeypatch.setenv("AISLE_PASSWORD", PASSWORD + "!")
    assert smoke.main(["--url", shop]) == 1
    captured = capsys.readouterr()
    assert "/auth/login: 401" in captured.err
    assert PASSWORD not in captured.err + captured.out


def test_a_throw_away_account_is_not_asked_for_the_dashboard(shop: str, capsys: pytest.CaptureFixture[str]) -> None:
    with httpx.Client(base_url=shop) as client:
        register(client, "eve", password=PASSWORD)
    assert smoke.log_in(shop, "eve@example.com", PASSWORD, pause_s=0) == []
    printed = capsys.readouterr().out
    assert printed.count("ok ") == 4
    assert "dashboard" not in printed


def test_credentials_that_are_incomplete_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AISLE_EMAIL", "ada@example.com")
    with pytest.raises(SystemExit):
        smoke.main(["--url", "http://127.0.0.1:1"])


def test_it_says_since_when_the_account_exists(
    shop: str, job: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with httpx.Client(base_url=shop) as client:
        for name in ("boss", "eve"):
            register(client, name)
    postgres.write("UPDATE users SET registered_at = '2026-01-02 03:04:05+00' WHERE email = 'boss@example.com'")
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"urls": {"value": {"first_admin": job, "migrate": "http://127.0.0.1:1"}}}))
    asked: list[str] = []

    def token(audience: str) -> str:
        asked.append(audience)
        return "an-identity-token"

    monkeypatch.setattr(admin.identity, "token", token)
    assert admin.main(["--outputs", str(outputs), "boss@example.com"]) == 0
    printed = capsys.readouterr().out
    assert "since 2026-01-02 03:04 UTC" in printed
    assert "is not verified" in printed
    assert asked == [job]
    assert len(link(printed)) == 87
    roles = dict(postgres.read("SELECT email, role FROM users WHERE email IS NOT NULL"))
    assert roles == {"boss@example.com": "admin", "eve@example.com": "user"}


def test_a_text_that_is_no_address_is_refused_at_once(job: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert admin.main(["--url", job, "--without-token", "nobody"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("first_admin failed: 422")
    assert captured.out == ""
