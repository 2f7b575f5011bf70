"""Redis with TLS and a password, as Memorystore has them: its own authority, and certificates without an address."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvloop

from shared.clients import redis_sync
from shared.clients.redis_async import AsyncRedis, RedisUnavailable
from shared.settings import settings
from shared.storage.answers import invalidation
from tests.integration.conftest import settings_of
from tests.integration.storage.cloud_sql_server import Authority, Proxy, pem


class Memorystore(Proxy):
    """TLS in front of the embedded server, whose build has none; clients have no certificate, but a password."""

    def __init__(self, authority: Authority, port: int) -> None:
        super().__init__(authority, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.write("redis"))


@pytest.fixture
def memorystore(env: dict[str, str], tmp_path: Path) -> Iterator[Authority]:
    """Settings as Terraform gives them."""
    address = urlsplit(env["REDIS_URL"])
    authority = Authority(tmp_path)
    server = Memorystore(authority, address.port or 0)
    server.start()
    url = f"rediss://:{address.password}@127.0.0.1:{server.port}/0"
    try:
        with settings_of(env | {"REDIS_URL": url, "REDIS_CA": pem(authority.certificate).decode()}):
            yield authority
    finally:
        server.close()


def ask(ca: str | None, url: str | None = None) -> list:
    """Ask through the hot path's client, and wait for what it leaves on its loop."""

    async def work() -> list:
        client = AsyncRedis(url or settings().require("redis_url"), 30, ca)
        try:
            return await client.run(("SET", "colour", "red"), ("GET", "colour"))
        finally:
            client.close()
            await asyncio.sleep(0.1)

    return uvloop.run(work())


def test_the_hot_path_speaks_tls_to_a_server_of_its_own_authority(memorystore: Authority) -> None:
    assert ask(settings().redis_ca)[1] == b"red"


def test_redis_py_does_as_well(memorystore: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with settings_of({"REDIS_TIMEOUT_S": "10"}):
        assert redis_sync.ping()
        assert invalidation.flush("similar")


def test_a_server_of_another_authority_is_not_believed(
    memorystore: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    other = pem(Authority(tmp_path / "other").certificate).decode()
    with pytest.raises(RedisUnavailable, match="certificate verify failed"):
        ask(other)
    with settings_of({"REDIS_CA": other, "REDIS_TIMEOUT_S": "10"}):
        assert not redis_sync.ping()


def test_nor_one_that_only_the_systems_authorities_would_have_to_know(memorystore: Authority) -> None:
    with pytest.raises(RedisUnavailable, match="certificate verify failed"):
        ask(None)


def test_without_the_password_nothing_is_answered(memorystore: Authority) -> None:
    url = urlsplit(settings().require("redis_url"))
    with pytest.raises(RedisUnavailable):
        ask(settings().redis_ca, f"rediss://:wrong@127.0.0.1:{url.port}/0")


def test_what_speaks_no_tls_is_bypassed(memorystore: Authority, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"rediss://:x@127.0.0.1:{listening.getsockname()[1]}/0"
        with settings_of({"REDIS_URL": url, "REDIS_TIMEOUT_S": "0.3"}):
            assert not redis_sync.ping()
