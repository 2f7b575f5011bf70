"""One client cannot take what all clients need: places for expensive work, the subscribers' time, an instance's slots.

Each test has a second client, whose requests must not change.
"""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx
import orjson
import pytest

from shared import api_keys
from shared.gates import COMPUTING, HASHING, Gate, acting_for
from shared.http import bodies
from tests.integration.conftest import settings_of
from tests.integration.shop import add_products

Serve = Callable[[str], httpx.Client]
HOSTILE, OTHER = "198.51.100.7", "203.0.113.9"
LOGIN = {"email": "ann@example.com", "password": "a plum in the rain"}


def by(client: str) -> dict[str, str]:
    """Return the header with which the trusted proxy names a client."""
    return {"X-Forwarded-For": client}


@contextmanager
def calls_of(client: str, gate: Gate, number: int) -> Iterator[None]:
    """Let a client have this many calls running."""
    with acting_for(client), ExitStack() as places:
        for _ in range(number):
            places.enter_context(gate.admit())
        yield


@pytest.fixture
def behind_proxy(env: dict[str, str]) -> Iterator[None]:
    with settings_of(env | {"TRUSTED_PROXIES": "1"}):
        yield


@pytest.mark.usefixtures("behind_proxy")
def test_a_client_with_many_searches_at_a_time_is_refused_and_others_are_not(serve: Serve) -> None:
    add_products(5)
    shop = serve("products")
    secret = {"X-API-Key": api_keys.create("secret")[1]}

    def search(number: int, headers: dict[str, str]) -> httpx.Response:
        return shop.get(f"/products?search=product&min_price=0.{number}", headers=headers)

    with calls_of(HOSTILE, COMPUTING, COMPUTING.share - 1):
        assert search(1, by(HOSTILE)).status_code == 200
    with calls_of(HOSTILE, COMPUTING, COMPUTING.share):
        refused = search(2, by(HOSTILE))
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert search(3, by(OTHER)).status_code == 200
        # the shop's server at the same address acts for many people
        assert search(4, by(HOSTILE) | secret).status_code == 200
        # a stored answer needs no place
        assert search(1, by(HOSTILE)).status_code == 200
    assert search(2, by(HOSTILE)).status_code == 200
    assert COMPUTING.admitted == 0


@pytest.mark.usefixtures("behind_proxy")
def test_a_client_with_many_logins_at_a_time_is_refused_and_others_are_not(serve: Serve) -> None:
    accounts = serve("accounts")
    with calls_of(HOSTILE, HASHING, HASHING.share):
        assert accounts.post("/auth/login", json=LOGIN, headers=by(HOSTILE)).status_code == 429
        assert accounts.post("/auth/login", json=LOGIN, headers=by(OTHER)).status_code == 401
    assert accounts.post("/auth/login", json=LOGIN, headers=by(HOSTILE)).status_code == 401


def test_without_a_rate_limit_no_client_has_a_share(env: dict[str, str], serve: Serve) -> None:
    add_products(5)
    with (
        settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": "0"}),
        calls_of(HOSTILE, COMPUTING, COMPUTING.share),
    ):
        assert serve("products").get("/products?search=product&max_price=9", headers=by(HOSTILE)).status_code == 200


@pytest.mark.usefixtures("one_window")
def test_who_sends_on_after_refusals_is_soon_refused_where_it_is_cheap(env: dict[str, str], serve: Serve) -> None:
    add_products(5)
    hostile = by("198.51.100.30")
    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": "50"}):
        shop = serve("products")

        def search(number: int) -> httpx.Response:
            return shop.get(f"/products?search=product&max_price={number}", headers=hostile)

        with calls_of("198.51.100.30", COMPUTING, COMPUTING.share):
            refused = [search(number).json()["detail"] for number in range(4)]
        # two refusals of 21 each leave 8, so the third is the last that reaches the application
        assert ["computing" in detail for detail in refused] == [True, True, True, False]
        assert "More than 50 requests in a minute" in refused[3]
        assert search(4).status_code == 429
        assert shop.get("/products?search=product&max_price=5", headers=by(OTHER)).status_code == 200


@pytest.mark.usefixtures("one_window")
@pytest.mark.parametrize("path", ["/auth/login", "/auth/login/", "/auth/login//"])
def test_a_slash_at_the_end_makes_nothing_cheaper(env: dict[str, str], serve: Serve, path: str) -> None:
    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": "41"}):
        accounts = serve("accounts")
        # an address of its own for each case, since the function's counts outlive a test
        client = by(f"198.51.100.{100 + len(path)}")
        answers = [accounts.post(path, json=LOGIN, headers=client).status_code for _ in range(3)]
        assert answers == [401, 401, 429]
        # one of 41 is left
        assert accounts.get("/nowhere", headers=client).status_code == 404
        assert accounts.get("/nowhere", headers=client).status_code == 429
        assert accounts.get("/nowhere", headers=by(OTHER)).status_code == 404


@pytest.mark.usefixtures("one_window")
def test_a_batch_of_many_users_costs_as_many_messages(env: dict[str, str], serve: Serve) -> None:
    def batch(users: int, client: str, **headers: str) -> int:
        events = [{"user_id": f"u{number % users}", "product_id": 1, "event_type": "view"} for number in range(40)]
        return shop.post("/events/batch", json={"events": events}, headers=by(client) | headers).status_code

    with settings_of(env | {"TRUSTED_PROXIES": "1", "RATE_LIMIT_PER_MINUTE": "41"}):
        shop = serve("events")
        assert [batch(40, "198.51.100.20") for _ in range(2)] == [202, 202]
        # 41 were free: the first counts as 40, the second as what was left
        assert batch(1, "198.51.100.20") == 429
        # by number alone a batch of one user counts as five
        assert [batch(1, "198.51.100.21") for _ in range(8)] == [202] * 8
        # so does the shop's server, whose batches are of all its users
        secret = api_keys.create("secret")[1]
        assert [batch(40, "198.51.100.22", **{"X-API-Key": secret}) for _ in range(8)] == [202] * 8


def send_slowly(url: str, body: bytes, pause_s: float) -> tuple[bytes, float]:
    """Send a request whose body pauses before its last byte; return the answer and after how many seconds it came."""
    address = urlsplit(url)
    head = (
        f"POST /events HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
        f"Origin: https://shop.example\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    began = time.monotonic()
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=10) as connection:
        connection.sendall(head.encode() + body[:-1])
        connection.settimeout(pause_s)
        try:
            answer = connection.recv(65_536)
        except TimeoutError:
            connection.settimeout(10)
            connection.sendall(body[-1:])
            answer = connection.recv(65_536)
        return answer, time.monotonic() - began


def test_a_body_that_does_not_arrive_ends_its_request(
    env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = serve("events")
    body = orjson.dumps({"user_id": "u1", "product_id": 1, "event_type": "view"})
    in_time, _ = send_slowly(str(shop.base_url), body, 0.2)
    assert in_time.startswith(b"HTTP/1.1 202")
    monkeypatch.setattr(bodies, "READ_S", 0.5)
    answer, seconds = send_slowly(str(shop.base_url), body, 8)
    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.4 < seconds < 5
    assert b"urn:aisle:problem:body-too-slow" in answer
    assert b"connection: close" in answer.lower()
    assert b"access-control-allow-origin: *" in answer.lower()
    in_time, _ = send_slowly(str(shop.base_url), body, 0.05)
    assert in_time.startswith(b"HTTP/1.1 202")
