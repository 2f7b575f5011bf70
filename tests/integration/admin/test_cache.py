"""Flushing stored answers."""

import httpx
import pytest

from shared import clients
from shared.storage.answers import protocol
from tests.integration.admin.conftest import audited, epochs


@pytest.mark.parametrize(
    ("path", "scopes"),
    [
        ("", {scope.encode() for scope in protocol.SCOPES}),
        ("/recommendations", {b"recommendations"}),
        ("/similar", {b"similar"}),
        ("/trending", {b"trending"}),
    ],
)
def test_flushing_makes_the_answers_of_a_scope_invalid(client: httpx.Client, path: str, scopes: set[bytes]) -> None:
    before = epochs()
    answer = client.post(f"/admin/cache/flush{path}")
    assert answer.status_code == 200
    assert answer.json().keys() == {"message"}
    after = epochs()
    assert {scope for scope in after if after[scope] != before.get(scope)} == scopes
    flushed = [path[1:]] if path else list(protocol.SCOPES)
    assert audited() == [("admin-token", "cache.flush", path[1:] or "all", None, {"scopes": flushed})]


def test_an_unknown_scope_is_refused(client: httpx.Client) -> None:
    assert client.post("/admin/cache/flush/everything").status_code == 422
    assert audited() == []


def test_a_flush_that_redis_does_not_accept_fails(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    clients.reset()
    answer = client.post("/admin/cache/flush/similar")
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert audited() == []
