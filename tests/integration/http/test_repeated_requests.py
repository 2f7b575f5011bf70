"""Repeated requests and events count once: their own, at every age, and nobody else's."""

from collections.abc import Callable

import httpx
import pytest

from shared.clients.postgres import read, write
from shared.errors import IdempotencyInProgress
from shared.storage.operations import idempotency
from shared.storage.operations.idempotency import CLAIM_S, RETENTION_S, Claim, Stored
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_products

Serve = Callable[[str], httpx.Client]
STAFF = {"Authorization": "Bearer an-admin-token-for-tests"}


def age(key: str, seconds: float) -> None:
    write(
        "UPDATE idempotency_keys SET created_at = clock_timestamp() - make_interval(secs => :seconds) WHERE key = :key",
        key=key,
        seconds=seconds,
    )


@pytest.mark.parametrize(
    ("seconds", "created"), [(CLAIM_S - 5, 1), (CLAIM_S + 5, 1), (RETENTION_S - 60, 1), (RETENTION_S + 60, 2)]
)
def test_an_answer_is_repeated_for_a_day(env: dict[str, str], serve: Serve, seconds: float, created: int) -> None:
    products = serve("products")
    body = {"name": "Lamp", "price": 1}
    for key in ("mine", "bystander"):
        products.post("/products", json=body, headers=STAFF | {"Idempotency-Key": key})
    age("mine", seconds)
    again = products.post("/products", json=body, headers=STAFF | {"Idempotency-Key": "mine"})
    assert again.status_code == 201
    assert ("idempotent-replayed" in again.headers) is (created == 1)
    assert read("SELECT count(*) FROM products")[0][0] == 1 + created
    bystander = products.post("/products", json=body, headers=STAFF | {"Idempotency-Key": "bystander"})
    assert bystander.headers["idempotent-replayed"] == "true"


@pytest.mark.parametrize(("seconds", "taken_over"), [(CLAIM_S - 5, False), (CLAIM_S + 5, True)])
def test_a_claim_without_an_answer_is_taken_over_after_a_minute(
    env: dict[str, str], seconds: float, taken_over: bool
) -> None:
    first = idempotency.claim("mine", "POST /x", b"h")
    assert isinstance(first, Claim)
    assert isinstance(idempotency.claim("bystander", "POST /x", b"h"), Claim)
    age("mine", seconds)
    if taken_over:
        assert isinstance(idempotency.claim("mine", "POST /x", b"h"), Claim)
    else:
        with pytest.raises(IdempotencyInProgress):
            idempotency.claim("mine", "POST /x", b"h")
    with pytest.raises(IdempotencyInProgress):
        idempotency.claim("bystander", "POST /x", b"h")


def test_an_answered_key_is_not_taken_over_with_another_request(env: dict[str, str]) -> None:
    from shared.clients.postgres import transaction
    from shared.errors import IdempotencyMismatch

    held = idempotency.claim("mine", "POST /x", b"h")
    assert isinstance(held, Claim)
    with transaction() as connection:
        idempotency.finish(connection, held, Stored(201, "application/json", b"{}"))
    age("mine", CLAIM_S + 5)
    with pytest.raises(IdempotencyMismatch):
        idempotency.claim("mine", "POST /x", b"other")
    assert isinstance(idempotency.claim("mine", "POST /x", b"h"), Stored)


def test_two_shoppers_with_the_same_key_have_carts_of_their_own(env: dict[str, str], serve: Serve) -> None:
    add_products(3)
    cart = serve("cart")
    item, key = {"product_id": 1, "quantity": 2}, {"Idempotency-Key": "add-1"}
    for user_id in ("browser-1", "browser-2", "browser-1"):
        answer = cart.post("/cart/items", params={"user_id": user_id}, json=item, headers=key)
        assert answer.status_code == 201, answer.text
    for user_id in ("browser-1", "browser-2"):
        items = cart.get("/cart", params={"user_id": user_id}).json()["items"]
        assert [(item["product"]["id"], item["quantity"]) for item in items] == [(1, 2)], user_id


def test_a_message_with_one_id_twice_is_stored_once_and_acknowledged(env: dict[str, str], serve: Serve) -> None:
    add_products(3)
    function = serve("update_preferences")
    twice, bystander = event(1), event(2)
    assert deliver(function, "u1", twice, twice, bystander).status_code == 200
    assert deliver(function, "u1", twice, bystander, twice).status_code == 200
    assert [row[0] for row in read("SELECT product_id FROM events ORDER BY product_id")] == [1, 2]
    assert read("SELECT count(*) FROM rejected_events")[0][0] == 0
    counts = read("SELECT product_id, views FROM product_stats WHERE views > 0 ORDER BY product_id")
    assert [tuple(row) for row in counts] == [(1, 1), (2, 1)]
