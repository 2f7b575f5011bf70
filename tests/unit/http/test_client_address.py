"""Whose address a request counts for: it is read from the trusted end, and has one spelling."""

from typing import Any

import pytest

from shared.http.client_address import client_address, client_of, network_of
from shared.http.edge import Edge

PEER = "203.0.113.1"


@pytest.mark.parametrize(
    ("address", "client"),
    [
        ("198.51.100.7", "198.51.100.7"),
        (" 198.51.100.7 ", "198.51.100.7"),
        ("198.51.100.7:1234", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("[::ffff:c633:6407]:443", "198.51.100.7"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002:0000:0000:0000:0001", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:ffff:ffff:ffff:ffff]:443", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::1]", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("2001:db8:1:1:ffff:ffff:ffff:ffff", "2001:db8:1:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", None),
        ("", None),
        ("198.51.100.256", None),
        ("[2001:db8::1", "2001:db8::/64"),
        ("1" * 5000, None),
    ],
)
def test_an_address_has_one_spelling_and_ipv6_counts_by_64(address: str, client: str | None) -> None:
    assert client_of(address) == client


@pytest.mark.parametrize(
    ("lines", "proxies", "client"),
    [
        # each proxy appends the address it saw; the client invented what stands left of that
        (["10.1.1.1, 10.2.2.2, 192.0.2.7"], 1, "192.0.2.7"),
        (["10.1.1.1, 192.0.2.7, 198.51.100.9"], 2, "192.0.2.7"),
        (["10.1.1.1, 10.2.2.2, 192.0.2.7, 198.51.100.8, 198.51.100.9"], 3, "192.0.2.7"),
        # a second header line continues the first
        (["10.1.1.1", "192.0.2.7"], 1, "192.0.2.7"),
        (["10.1.1.1", "192.0.2.7", "198.51.100.9"], 2, "192.0.2.7"),
        (["192.0.2.7"], 2, "192.0.2.7"),
        (["10.1.1.1, 192.0.2.7"], 0, PEER),
        ([], 1, PEER),
        (["10.1.1.1, not an address"], 1, PEER),
        (["10.1.1.1,"], 1, PEER),
    ],
)
def test_the_address_is_read_from_the_trusted_end(lines: list[str], proxies: int, client: str) -> None:
    headers = [(b"host", b"shop"), *((b"x-forwarded-for", line.encode()) for line in lines)]
    assert client_address(headers, PEER, proxies) == client


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> Edge:
    from shared.clients import reset

    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "3")
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    monkeypatch.delenv("REDIS_URL", raising=False)
    reset()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        raise AssertionError("the edge alone is tested")

    # every request falls into one minute
    monkeypatch.setattr("shared.http.limits.time.time", lambda: 1_800_000_000.0)
    return Edge(app, "events")


def refused(edge: Edge, address: str) -> bool:
    headers = [(b"x-forwarded-for", f"10.0.0.1, {address}".encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/events",
        "query_string": b"",
        "headers": headers,
        "client": (PEER, 1),
    }
    return edge.begin(scope)[2] is not None


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:1:2::{number:x}" for number in range(1, 5)],
        ["2001:db8::1", "2001:0db8:0::0001", "2001:DB8::1", "[2001:db8::1]:99"],
        [f"198.51.100.9:{1000 + number}" for number in range(4)],
        ["198.51.100.9", "::ffff:198.51.100.9", "::FFFF:c633:6409", "198.51.100.9"],
    ],
)
def test_the_rate_limit_counts_a_client_however_its_address_is_spelled(edge: Edge, addresses: list[str]) -> None:
    assert [refused(edge, address) for address in addresses] == [False, False, False, True]
    # neighbours have a limit of their own
    assert not any(refused(edge, bystander) for bystander in ("2001:db8:1:3::1", "2001:db8:0:1::1", "198.51.100.10"))


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("198.51.100.9", "198.51.100.0/24"),
        ("198.51.100.255", "198.51.100.0/24"),
        ("198.51.101.9", "198.51.101.0/24"),
        ("::ffff:198.51.100.9", "198.51.100.0/24"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::7", "2001:db8:1:3::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_the_network_of_a_client_is_its_prefix(address: str, network: str) -> None:
    assert network_of(client_address([], address, 0)) == network
