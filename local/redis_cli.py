"""A small `redis-cli`: one command from the arguments, or a prompt. The Valkey wheel holds no client."""

import contextlib
import shlex
import sys
from collections.abc import Sequence
from typing import Any

from local.commands import running
from local.errors import CommandError

# RESP status replies, which the client returns as bytes like values
STATUS = (b"OK", b"PONG", b"QUEUED")


def redis_cli(arguments: Sequence[str]) -> int:
    """Run a command, or read commands until the end of input."""
    from redis import Redis

    url = running()["environment"]["REDIS_URL"]
    # RESP2 and raw bytes, so that values are printed as they are stored
    with Redis.from_url(url, protocol=2, socket_connect_timeout=5) as client:
        if arguments:
            text, ok = answer(client, arguments)
            print(text)
            return 0 if ok else 1
        prompt = sys.stdin.isatty()
        if prompt:
            with contextlib.suppress(ImportError):
                import readline  # noqa: F401 — editing and history of input()
        while True:
            try:
                line = input("redis> " if prompt else "")
            except EOFError:
                return 0
            try:
                words = shlex.split(line)
            except ValueError as error:
                print(f"(error) {error}")
                continue
            if words and words[0].lower() in ("quit", "exit"):
                return 0
            if words:
                print(answer(client, words)[0])


def answer(client: Any, words: Sequence[str]) -> tuple[str, bool]:
    """Return a command's reply as text, and whether it succeeded. Raises CommandError if the server does not answer."""
    from redis.exceptions import ConnectionError as RedisConnectionError
    from redis.exceptions import RedisError, ResponseError

    try:
        # the plain reply, without the client's parsing per command
        connection = client.connection_pool.get_connection()
        try:
            connection.send_command(*words)
            return formatted(connection.read_response()), True
        finally:
            client.connection_pool.release(connection)
    except ResponseError as error:
        return f"(error) {error}", False
    except (RedisConnectionError, OSError) as error:
        raise CommandError(f"Redis does not answer: {error}. See ./aisle status.") from None
    except RedisError as error:
        return f"(error) {error}", False


def formatted(reply: Any, indent: str = "") -> str:
    """Return a reply in the format of redis-cli."""
    if reply is None:
        return "(nil)"
    if isinstance(reply, int):
        return f"(integer) {reply}"
    if isinstance(reply, bytes):
        return reply.decode() if reply in STATUS else quoted(reply)
    if isinstance(reply, str):
        return reply
    if isinstance(reply, Exception):
        return f"(error) {reply}"
    if isinstance(reply, (list, tuple, set)):
        lines = []
        for position, element in enumerate(reply, start=1):
            label = f"{position}) "
            lines.append((indent if position > 1 else "") + label + formatted(element, indent + " " * len(label)))
        return "\n".join(lines) or "(empty array)"
    return repr(reply)


def quoted(value: bytes) -> str:
    """Return the bytes in quotes: as text if they are printable UTF-8, otherwise with escapes."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or (value and not text):
        text = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in value)
    return '"' + text.replace('"', '\\"') + '"'
