"""Deliveries of a Medusa shop's subscriber."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from shared.clients import postgres
from shared.domain import signatures
from tests.integration.collect.conftest import Store, stored
from tests.integration.conftest import settings_of
from tests.integration.people import ADMIN

KEY = "k" * 32
Deliver = Callable[..., httpx.Response]


@pytest.fixture
def deliver(env: dict[str, str], shop: httpx.Client) -> Iterator[Deliver]:
    """Returns a function that signs and sends a delivery, now unless ``at`` is given."""

    def send(body: dict[str, Any], at: datetime | None = None, key: str = KEY) -> httpx.Response:
        content = orjson.dumps(body)
        signature = signatures.sign(content, key.encode(), at or datetime.now(UTC))
        headers = {signatures.HEADER: signature, "Content-Type": "application/json"}
        return shop.post("/v1/medusa", content=content, headers=headers)

    with settings_of(env | {"WEBHOOK_KEYS": f"new:{'n' * 32},old:{KEY}"}):
        yield send


@pytest.fixture
def feed(shop: httpx.Client) -> None:
    """The feed of the shop."""
    body = {"name": "Medusa", "preset": "medusa", "url": "https://medusa.example", "credentials": "aisle-feed-medusa"}
    assert shop.post("/admin/feeds", json=body, headers=ADMIN).status_code == 201


def product(*skus: str, price: float = 10) -> dict[str, Any]:
    offer = {"calculated_amount": price, "original_amount": 12, "currency_code": "eur"}
    variants = [
        {"id": f"variant_{sku}", "sku": sku, "manage_inventory": False, "calculated_price": offer} for sku in skus
    ]
    state = {"id": "prod_1", "title": "Lamp", "variants": variants, "categories": [{"id": "inner", "name": "Inner"}]}
    categories = [
        {"id": "inner", "name": "Inner", "parent_category_id": "outer"},
        {"id": "outer", "name": "Outer", "parent_category_id": None},
    ]
    return {"type": "product", "id": "prod_1", "product": state, "categories": categories}


def order(**fields: Any) -> dict[str, Any]:
    items = [
        {"id": "ordli_1", "variant_sku": "SKU1", "quantity": 1},
        {"id": "ordli_2", "variant_sku": "SKU2", "quantity": 1},
    ]
    state = {"id": "order_1", "customer_id": "ann", "created_at": "2026-03-01T12:00:00Z", "items": items}
    return {"type": "order", "id": "order_1", "order": state | {"updated_at": "2026-03-01T12:00:00Z"} | fields}


def shown() -> dict[str, float]:
    rows = postgres.read("SELECT external_id, price FROM products WHERE is_active AND item_group_id = 'prod_1'")
    return {row[0]: float(row[1]) for row in rows}


@pytest.mark.usefixtures("feed")
def test_a_product_is_created_changed_hidden_and_shown_again(deliver: Deliver) -> None:
    answer = deliver(product("A", "B"))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"created": 2, "updated": 0, "hidden": 0, "reports": 0, "rejected": []}
    path = "SELECT o.name, i.name FROM categories i JOIN categories o ON o.id = i.parent_id"
    assert [tuple(row) for row in postgres.read(path)] == [("Outer", "Inner")]
    assert deliver(product("A", "C", price=9)).json()["hidden"] == 1
    assert shown() == {"A": 9, "C": 9}
    # not sold any more, and sold again
    assert deliver({"type": "product", "id": "prod_1", "product": None}).json()["hidden"] == 2
    assert shown() == {}
    deliver(product("A", "B"))
    assert shown() == {"A": 10, "B": 10}
    # the ten products of the shop are nobody else's
    assert postgres.read("SELECT count(*) FROM products WHERE is_active AND item_group_id IS NULL")[0][0] == 10


@pytest.mark.usefixtures("feed")
def test_a_variant_that_cannot_be_taken_is_named_and_keeps_its_state(deliver: Deliver) -> None:
    deliver(product("A", "B"))
    state = product("A", "B", price=9)
    state["product"]["variants"][0]["calculated_price"] = None
    answer = deliver(state).json()
    assert (answer["updated"], answer["hidden"], len(answer["rejected"])) == (1, 0, 1)
    assert "A: price" in answer["rejected"][0]
    assert shown() == {"A": 10, "B": 9}


def test_a_product_needs_the_feed(deliver: Deliver) -> None:
    answer = deliver(product("A"))
    assert answer.status_code == 409
    assert "preset medusa" in answer.json()["detail"]
    assert shown() == {}


def test_an_order_and_its_cancellation_count_in_full_once(deliver: Deliver, store: Store) -> None:
    now = datetime.now(UTC)
    assert deliver(order(), now).json()["reports"] == 1
    assert deliver(order(), now + timedelta(milliseconds=1)).json()["reports"] == 1
    store(2)
    assert sorted(stored()) == [("ann", "purchase", "SKU1", 1), ("ann", "purchase", "SKU2", 1)]
    assert {row[0] for row in postgres.read("SELECT counted FROM events")} == {True}
    assert deliver(order(status="canceled"), now + timedelta(milliseconds=2)).json()["reports"] == 2
    store(2)
    assert postgres.read("SELECT count(*) FROM purchase_lines WHERE returned < quantity")[0][0] == 0


def test_each_report_of_an_order_that_is_refused_is_shown_once(deliver: Deliver) -> None:
    returned = [{"id": "ordli_1", "variant_sku": "SKU1", "quantity": 2, "detail": {"return_received_quantity": 1}}]
    body = order(items=returned, created_at="yesterday", updated_at="today")
    now = datetime.now(UTC)
    for attempt in range(2):
        answer = deliver(body, now + timedelta(milliseconds=attempt)).json()
        assert (answer["reports"], len(answer["rejected"])) == (0, 2)
        rows = postgres.read("SELECT position, event ->> 'event_type' FROM rejected_events ORDER BY position")
        assert [tuple(row) for row in rows] == [(0, "order"), (1, "refund")]


@pytest.mark.usefixtures("feed")
def test_a_replay_and_what_a_newer_delivery_has_overtaken_are_refused(deliver: Deliver) -> None:
    now = datetime.now(UTC)
    assert deliver(product("A", price=10), now).status_code == 200
    assert deliver(product("A", price=10), now).status_code == 409
    assert deliver(product("A", price=5), now - timedelta(milliseconds=1)).status_code == 409
    assert shown() == {"A": 10}
    # another subject has a time of its own
    assert deliver(order(), now - timedelta(seconds=1)).status_code == 200
    assert deliver(order(), now - timedelta(seconds=1)).status_code == 409
    other = product("B", price=3)
    other["id"] = other["product"]["id"] = "prod_other"
    assert deliver(other, now - timedelta(seconds=1)).status_code == 200
    assert deliver(product("A", price=5), now + timedelta(milliseconds=1)).status_code == 200
    assert shown() == {"A": 5}


@pytest.mark.usefixtures("feed")
def test_a_delivery_that_failed_may_be_sent_again(deliver: Deliver) -> None:
    now = datetime.now(UTC)
    body = order()
    body["order"]["id"] = "order_other"
    assert deliver(body, now).status_code == 422
    assert deliver(order(), now).status_code == 200


@pytest.mark.usefixtures("feed")
def test_forged_and_old_deliveries_are_refused(shop: httpx.Client, deliver: Deliver) -> None:
    now = datetime.now(UTC)
    assert deliver(product("A"), now, "x" * 32).status_code == 401
    late = timedelta(minutes=5, seconds=2)
    assert deliver(product("A"), now - late).status_code == 401
    assert deliver(product("A"), now + late).status_code == 401
    unsigned = shop.post("/v1/medusa", json=product("A"))
    assert (unsigned.status_code, unsigned.json()["type"]) == (401, "urn:aisle:problem:unauthorized")
    # no key of the API stands for a signature
    assert shop.post("/v1/medusa", json=product("A"), headers=ADMIN).status_code == 401
    assert shown() == {}
    assert postgres.read("SELECT count(*) FROM webhook_deliveries")[0][0] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"type": "product", "id": "prod_2", "product": {"id": "prod_1"}},
        {"type": "order", "id": "order_1"},
        {"type": "customer", "id": "cus_1"},
        {"type": "product", "id": ""},
    ],
)
@pytest.mark.usefixtures("feed")
def test_a_delivery_of_something_else_is_refused(deliver: Deliver, body: dict[str, Any]) -> None:
    assert deliver(body).status_code == 422


@pytest.mark.usefixtures("feed")
@pytest.mark.parametrize("value", [5, True, "text", [5]])
def test_a_signed_delivery_of_a_wrong_form_is_no_error_of_the_server(deliver: Deliver, value: Any) -> None:
    for name in ("variants", "tags", "categories", "type", "thumbnail", "title"):
        body = product("A")
        body["product"][name] = value
        assert deliver(body).status_code in (200, 422)
    for name in ("items", "payment_collections", "metadata", "customer_id", "created_at"):
        assert deliver(order(**{name: value})).status_code in (200, 422)


@pytest.mark.usefixtures("feed")
@pytest.mark.parametrize("number", ["NaN", "1e400", "-1e400", "1e300", "-3"])
def test_a_stock_that_is_no_number_is_none(shop: httpx.Client, deliver: Deliver, number: str) -> None:
    body = product("A", "B")
    body["product"]["variants"][0] |= {"manage_inventory": True, "inventory_quantity": 12345}
    content = orjson.dumps(body).replace(b"12345", number.encode())
    headers = {signatures.HEADER: signatures.sign(content, KEY.encode(), datetime.now(UTC))}
    answer = shop.post("/v1/medusa", content=content, headers=headers | {"Content-Type": "application/json"})
    # a parser may refuse the whole body
    assert answer.status_code in (200, 422), answer.text
    assert deliver(product("A", "B", price=3)).status_code == 200
    assert shown()["B"] == 3


@pytest.mark.usefixtures("feed")
@pytest.mark.parametrize("text", ["a\0b", "\ud800", 7, ["x"], {"a": "\0"}, "x" * 100_000], ids=range(6))
def test_texts_that_cannot_be_stored_cost_no_more_than_what_holds_them(deliver: Deliver, text: Any) -> None:
    body = product("A", "B")
    for place in ({"title": text}, {"description": text}, {"handle": text}, {"collection": text}, {"tags": text}):
        assert _delivered(deliver, {**body, "product": body["product"] | place})
    for inner in ({"sku": text}, {"id": text}, {"title": text}, {"options": text}, {"metadata": text}):
        variants = [body["product"]["variants"][0] | inner, body["product"]["variants"][1]]
        assert _delivered(deliver, {**body, "product": body["product"] | {"variants": variants}})
    assert _delivered(deliver, {**body, "categories": [{"id": "inner", "name": text, "parent_category_id": text}]})
    for member in ({"customer_id": text}, {"items": text}, {"items": [{"variant_sku": text, "quantity": text}]}):
        assert _delivered(deliver, order(**member))
    assert deliver(product("A", "B", price=3)).status_code == 200
    assert shown()["B"] == 3


def _delivered(deliver: Deliver, body: dict[str, Any]) -> bool:
    """Whether a delivery has an answer that says what was taken, or what is wrong with it."""
    try:
        return deliver(body).status_code in (200, 409, 422)
    except TypeError:
        # orjson writes no lone surrogate, and neither does the shop's JSON encoder
        return True
