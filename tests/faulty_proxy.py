"""The proxy of the chaos run in front of a service that a test uses."""

import contextlib
from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

from local.chaos.proxy import Proxy


@contextlib.contextmanager
def in_front_of(url: str) -> Iterator[tuple[Proxy, str]]:
    """Run a proxy in front of the service at ``url``; yield it and the URL that leads through it."""
    parts = urlsplit(url)
    proxy = Proxy(parts.hostname or "127.0.0.1", parts.port or 0)
    user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield proxy, urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
    finally:
        proxy.close()
