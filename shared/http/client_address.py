"""The client's IP address, used as a key for rate limits, lockouts and how often a client's events count.

An IPv6 subscriber has at least a /64, so this prefix identifies the client. Addresses are normalized: no port, brackets
or zone, and an IPv4 address mapped to IPv6 becomes the IPv4 address.
"""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

PREFIX_LENGTH: Final = 64
# Prefix length of an IPv4 network that usually belongs to one operator.
IPV4_PREFIX_LENGTH: Final = 24


@lru_cache(maxsize=8192)
def client_of(address: str) -> str | None:
    """Return the IPv4 address or the IPv6 /64 of an address, with or without a port; None if it is not an address."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        parsed: IPv4Address | IPv6Address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), PREFIX_LENGTH), strict=False))


@lru_cache(maxsize=8192)
def network_of(client: str) -> str:
    """Return the address prefix of a client that ``client_address`` returned: an IPv4 /24 or an IPv6 /64."""
    try:
        return str(IPv4Network((client, IPV4_PREFIX_LENGTH), strict=False))
    except ValueError:
        return client


def client_address(headers: Iterable[tuple[bytes, bytes]], peer: str, trusted_proxies: int) -> str:
    """Return the client of a request: an IPv4 address or an IPv6 /64; ``peer`` if that is not an address.

    Each of the ``trusted_proxies`` appends the address that it saw to X-Forwarded-For. The client may have forged
    anything to the left of those, so the address is counted from the right.
    """
    if trusted_proxies:
        forwarded = b",".join(value for name, value in headers if name == b"x-forwarded-for")
        if forwarded:
            hops = forwarded.decode("latin-1").split(",")
            client = client_of(hops[-min(trusted_proxies, len(hops))])
            if client is not None:
                return client
    return client_of(peer) or peer
