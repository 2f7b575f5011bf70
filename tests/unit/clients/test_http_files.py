"""Which addresses a job may fetch from."""

from ipaddress import ip_address

import pytest

from shared.clients.http_files import is_permitted

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    # the neighbours of ranges that are not public
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "192.169.0.0",
    "223.255.255.255",
    "2001:4860:4860::8888",
    "2a00:1450:4001:81b::200e",
    # a public IPv4 address behind an IPv6 prefix
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
    "2002:808:808::1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "172.16.0.0",
    "172.31.255.255",
    "192.168.0.0",
    "192.168.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "::1",
    "fc00::1",
    "fdff:ffff::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "::10.1.2.3",
    "64:ff9b::10.1.2.3",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]
NEVER = [
    "0.0.0.0",  # noqa: S104 — an address to refuse, not one to bind
    "0.1.2.3",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "100.100.100.200",
    "192.88.99.1",
    "224.0.0.0",
    "239.255.255.255",
    "240.0.0.0",
    "255.255.255.255",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "::169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    assert is_permitted(ip_address(address), allow_private=False)
    assert is_permitted(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_permitted_by_the_setting_alone(address: str) -> None:
    assert not is_permitted(ip_address(address), allow_private=False)
    assert is_permitted(ip_address(address), allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_link_local_and_metadata_addresses_are_never_permitted(address: str) -> None:
    assert not is_permitted(ip_address(address), allow_private=False)
    assert not is_permitted(ip_address(address), allow_private=True)
