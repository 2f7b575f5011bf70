"""What messages say about the sender of their events, and what follows for trending and popular."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest

from shared import api_keys, clients
from shared.clients import postgres
from shared.domain.counting import MAX_PER_CLIENT
from shared.domain.events import MAX_EVENTS_PER_REQUEST
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import push
from tests.integration.shop import add_products

Take = Callable[..., list[Any]]
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/133.0", "X-Forwarded-For": "198.51.100.7"}
CRAWLER = BROWSER | {"User-Agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}
SOLD_OUT = 9


@pytest.fixture(autouse=True)
def shop(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ten products, the ninth of them sold out, behind one proxy."""
    monkeypatch.setenv("TRUSTED_PROXIES", "1")
    monkeypatch.setenv("RATE_LIMIT_PER_MINUTE", "0")
    clients.reset()
    add_products(10)
    postgres.write("UPDATE products SET quantity = 0 WHERE id = :id", id=SOLD_OUT)
    yield
    clients.reset()


@pytest.fixture
def take(messages: Messages) -> Take:
    return messages("user-events")


def origin(message: Any) -> tuple[bool, str | None, bool]:
    body = orjson.loads(message.data)
    return body["vouched"], body["client"], body["crawler"]


def secret_key() -> dict[str, str]:
    return {"X-API-Key": api_keys.create("secret")[1]}


def event(user: str, product_id: int, event_type: str = "view") -> dict[str, Any]:
    return {"user_id": user, "product_id": product_id, "event_type": event_type}


def test_an_anonymous_event_names_its_client_and_not_its_address(serve: Serve, take: Take) -> None:
    client = serve("events")
    for headers in (
        BROWSER,
        BROWSER | {"X-Forwarded-For": "198.51.100.99"},
        BROWSER | {"X-Forwarded-For": "203.0.113.1, 198.51.100.7"},
        BROWSER | {"X-Forwarded-For": "198.51.101.7"},
        BROWSER | {"X-API-Key": api_keys.create("publishable")[1]},
        CRAWLER,
    ):
        assert client.post("/events", json=event("ann", 1), headers=headers).status_code == 202
    published = take(6)
    assert b"198.51" not in b"".join(message.data for message in published)
    assert [vouched for vouched, _client, _crawler in map(origin, published)] == [False] * 6
    assert sorted(crawler for _vouched, _client, crawler in map(origin, published)) == [False] * 5 + [True]
    named = [client for _vouched, client, crawler in map(origin, published) if not crawler]
    # a neighbour, an address that the client invented, and a publishable key change nothing; another network does
    assert sorted(named.count(client) for client in set(named)) == [1, 4]


def test_events_with_a_secret_key_are_vouched_for(serve: Serve, take: Take) -> None:
    batch = {"events": [event("ann", 1), event("bob", 1)]}
    # a server's library may call itself anything
    headers = CRAWLER | secret_key()
    assert serve("events").post("/events/batch", json=batch, headers=headers).json()["accepted"] == 2
    assert [origin(message) for message in take(2)] == [(True, None, False)] * 2
    assert serve("events").post("/events/batch", json=batch, headers=BROWSER).json()["accepted"] == 2
    assert {origin(message)[0] for message in take(2)} == {False}


def test_a_checkout_is_vouched_for_and_a_cart_is_not(serve: Serve, take: Take) -> None:
    cart = serve("cart")

    def add(user: str, headers: dict[str, str]) -> None:
        body = {"product_id": 1, "quantity": 1}
        assert cart.post("/cart/items", params={"user_id": user}, json=body, headers=headers).status_code == 201

    add("ann", BROWSER)
    (message,) = take()
    vouched, client, crawler = origin(message)
    assert (vouched, crawler) == (False, False)
    assert client
    add("bob", BROWSER | secret_key())
    (message,) = take()
    assert origin(message) == (True, None, False)
    checkout = cart.post(
        "/cart/checkout", params={"user_id": "ann"}, json={}, headers=BROWSER | {"Idempotency-Key": "k"}
    )
    assert checkout.status_code == 201, checkout.text
    (message,) = take()
    assert origin(message) == (True, None, False)


@pytest.fixture
def deliver(serve: Serve) -> Callable[[list[Any]], None]:
    """Returns a function that delivers messages to both subscribers."""
    functions = [serve("update_preferences"), serve("update_popularity")]

    def to_both(published: list[Any]) -> None:
        for message in published:
            for function in functions:
                assert push(function, message.data, dict(message.attributes)).status_code == 200

    return to_both


def lists(serve: Serve) -> tuple[list[int], list[int]]:
    """Run the jobs; return the ids of trending and of popular products, best first."""
    for job in ("trending", "popular"):
        assert serve(job).post("/", json={}).status_code == 200
    answers: httpx.Client = serve("recommendations")
    trending = answers.get("/trending", params={"window": "7d", "k": 10}).json()["products"]
    popular = answers.get("/popular", params={"k": 10}).json()["products"]
    return [product["id"] for product in trending], [product["id"] for product in popular]


@pytest.mark.parametrize("views_first", [False, True])
def test_four_batches_of_500_anonymous_purchases_put_no_product_first(
    serve: Serve, take: Take, deliver: Callable[[list[Any]], None], *, views_first: bool
) -> None:
    events = serve("events")
    # a shop's day: one more purchase than the bound of one client
    honest = [event(f"customer-{number}", 1, "purchase") for number in range(MAX_PER_CLIENT + 1)]
    assert events.post("/events/batch", json={"events": honest}, headers=BROWSER | secret_key()).status_code == 202
    deliver(take(len(honest)))
    for batch in range(4):
        visitors = [f"visitor-{batch}-{number % 25}" for number in range(MAX_EVENTS_PER_REQUEST)]
        body = [event(visitor, SOLD_OUT, "purchase") for visitor in visitors]
        if views_first:
            body[:25] = [event(visitor, SOLD_OUT) for visitor in visitors[:25]]
        assert events.post("/events/batch", json={"events": body}, headers=BROWSER).json()["rejected"] == []
        deliver(take(25))
    trending, popular = lists(serve)
    assert (trending[0], popular[0]) == (1, 1)
    assert (SOLD_OUT in trending) == views_first
    counts = postgres.read("SELECT purchase_count FROM product_stats WHERE product_id = :id", id=SOLD_OUT)
    assert sum(row[0] for row in counts) == (MAX_PER_CLIENT if views_first else 0)
    # each of them counts for its own visitor
    own = postgres.read("SELECT sum(purchase_count) FROM user_purchases WHERE product_id = :id", id=SOLD_OUT)
    assert own[0][0] == (4 * (MAX_EVENTS_PER_REQUEST - 25) if views_first else 4 * MAX_EVENTS_PER_REQUEST)


def test_shop_pages_without_a_credential_move_trending_and_popular(
    serve: Serve, take: Take, deliver: Callable[[list[Any]], None]
) -> None:
    """As ShopSmart's shop pages do: a view, an addition to the cart, then the purchase, each a request of its own."""
    events = serve("events")
    for number, kinds in ((1, ("view",)), (2, ("view", "add_to_cart")), (3, ("view", "add_to_cart", "purchase"))):
        for visitor in range(2):
            for kind in kinds:
                sent = event(f"guest-of-{number}-{visitor}", number, kind)
                assert events.post("/events", json=sent, headers=BROWSER).status_code == 202
                deliver(take(1))
    trending, popular = lists(serve)
    assert trending == [3, 2, 1]
    assert popular[0] == 3
    crawled = [event("crawler", 4, kind) for kind in ("view", "add_to_cart", "purchase")]
    assert events.post("/events/batch", json={"events": crawled}, headers=CRAWLER).status_code == 202
    deliver(take(1))
    assert lists(serve)[0] == [3, 2, 1]
