"""Redis with TLS and a password, like Memorystore: a private authority, and certificates without an address."""

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
from tests.integration.cloud_sql_server import Authority, Proxy, pem
from tests.integration.conftest import settings_of


class Memorystore(Proxy):
    """TLS in front of the embedded server, which is built without it. Clients have a password and no certificate."""

    def __init__(self, authority: Authority, port: int) -> None:
        super().__init__(authority, port)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(authority.write("redis"))


@pytest.fixture
def memorystore(env: dict[str, str], tmp_path: Path) -> Iterator[Authority]:
    """The settings that Terraform gives a function."""
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


def set_and_get(ca: str | None, url: str | None = None) -> list:
    """Run two commands by the client of the hot path, and wait until its loop has closed the connection."""

    async def work() -> list:
        client = AsyncRedis(url or settings().require("redis_url"), 30, ca)
        try:
            return await client.run(("SET", "colour", "red"), ("GET", "colour"))
        finally:
            client.close()
            await asyncio.sleep(0.1)

    return uvloop.run(work())


def test_the_hot_path_connects_by_tls_to_a_server_of_a_private_authority(memorystore: Authority) -> None:
    assert set_and_get(settings().redis_ca)[1] == b"red"


def test_redis_py_connects_by_tls_to_a_server_of_a_private_authority(memorystore: Authority) -> None:
    with settings_of({"REDIS_TIMEOUT_S": "10"}):
        assert redis_sync.ping()
        assert invalidation.flush("similar")


def test_a_server_of_another_authority_is_rejected(
    memorystore: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "other").mkdir()
    other_authority = pem(Authority(tmp_path / "other").certificate).decode()
    with pytest.raises(RedisUnavailable, match="certificate verify failed"):
        set_and_get(other_authority)
    with settings_of({"REDIS_CA": other_authority, "REDIS_TIMEOUT_S": "10"}):
        assert not redis_sync.ping()


def test_without_redis_ca_only_authorities_of_the_system_are_trusted(memorystore: Authority) -> None:
    with pytest.raises(RedisUnavailable, match="certificate verify failed"):
        set_and_get(None)


def test_a_wrong_password_is_rejected(memorystore: Authority) -> None:
    url = urlsplit(settings().require("redis_url"))
    with pytest.raises(RedisUnavailable):
        set_and_get(settings().redis_ca, f"rediss://:wrong@127.0.0.1:{url.port}/0")


def test_a_server_without_tls_is_bypassed(memorystore: Authority, env: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"rediss://:x@127.0.0.1:{listening.getsockname()[1]}/0"
        with settings_of({"REDIS_URL": url, "REDIS_TIMEOUT_S": "0.3"}):
            assert not redis_sync.ping()
