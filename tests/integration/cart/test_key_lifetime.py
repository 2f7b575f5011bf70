"""An Idempotency-Key names one request for 24 hours, and what is stored for it is bounded."""

import httpx
import pytest

from shared.clients.postgres import read, write
from shared.http import idempotency as http
from shared.storage.operations import idempotency
from shared.storage.operations.idempotency import RETENTION_S
from tests.integration.cart.conftest import Shopper, problem

KEY = "order-1"
# of every row that belongs to this shopper's order
AGE_KEYS = "UPDATE idempotency_keys SET created_at = created_at - make_interval(secs => :seconds) WHERE owner = :owner"
AGE_ORDERS = """
UPDATE orders SET created_at = created_at - make_interval(secs => :seconds)
WHERE user_id = (SELECT id FROM users WHERE external_id = :owner)"""


def age(owner: str, seconds: float, *, orders_seconds: float | None = None) -> None:
    write(AGE_KEYS, owner=owner, seconds=seconds)
    write(AGE_ORDERS, owner=owner, seconds=seconds if orders_seconds is None else orders_seconds)


def buy(shopper: Shopper, product_id: int) -> httpx.Response:
    shopper.add(product_id)
    return shopper.check_out(KEY)


@pytest.mark.parametrize("expired", [False, True])
@pytest.mark.parametrize(("seconds", "orders"), [(RETENTION_S - 10, 1), (RETENTION_S + 1, 2)])
def test_a_key_buys_again_a_day_later_and_not_before(
    ann: Shopper, bob: Shopper, seconds: float, orders: int, expired: bool
) -> None:
    first, bystander = buy(ann, 1).json()["id"], buy(bob, 1).json()["id"]
    age("ann", seconds)
    if expired:
        # whether the job retention has run makes no difference
        assert len(write("DELETE FROM idempotency_keys WHERE owner = 'ann' RETURNING 1")) == 1
    again = buy(ann, 2)
    assert again.status_code == 201, again.text
    assert (again.json()["id"] == first) is (orders == 1)
    assert len(ann.orders()) == orders
    assert ann.in_cart() == ({2: 1} if orders == 1 else {})
    # the new request is repeated like the first one, also by a shopper who still has something in the cart
    ann.add(3)
    repeated = ann.check_out(KEY)
    assert repeated.json()["id"] == again.json()["id"]
    assert len(ann.orders()) == orders
    # the other shopper's key is as young as it was
    assert buy(bob, 2).json()["id"] == bystander
    assert len(bob.orders()) == 1


def test_an_order_is_found_by_its_key_for_as_long_as_the_key_lives(ann: Shopper) -> None:
    """The answer was not stored, as after a crash; the order is a moment younger than its key."""
    first = buy(ann, 1).json()["id"]
    age("ann", RETENTION_S + 1, orders_seconds=RETENTION_S - 2)
    again = buy(ann, 2)
    assert (again.status_code, again.json()["id"]) == (201, first)
    assert len(ann.orders()) == 1


def test_last_month_s_order_stays_as_it_was(ann: Shopper) -> None:
    first = buy(ann, 1).json()["id"]
    age("ann", 30 * 86_400)
    second = buy(ann, 2).json()["id"]
    assert [order["id"] for order in ann.orders()] == [second, first]
    assert ann.ask("GET", f"/orders/{first}").json()["items"][0]["product_id"] == 1
    identified = read("SELECT id::text FROM orders WHERE checkout_id IS NOT NULL")
    assert [row[0] for row in identified] == [second]


def keyed_add(shopper: Shopper, key: str, product_id: int = 1) -> httpx.Response:
    body, headers = {"product_id": product_id, "quantity": 1}, {"Idempotency-Key": key}
    return shopper.ask("POST", "/cart/items", json=body, headers=headers)


def test_a_user_has_a_bounded_number_of_keys(ann: Shopper, bob: Shopper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_KEYS_PER_OWNER", 3)
    assert [keyed_add(ann, f"k{n}").status_code for n in range(3)] == [201, 200, 200]
    refused = keyed_add(ann, "k3")
    assert problem(refused) == (429, "rate-limited")
    assert RETENTION_S - 60 < int(refused.headers["retry-after"]) <= RETENTION_S
    # a key is known at its own route only
    for key in ("k4", "k0"):
        assert problem(ann.check_out(key)) == (429, "rate-limited")
    # known keys are repeated, requests without a key are served, and other users have keys of their own
    assert keyed_add(ann, "k0").headers["idempotent-replayed"] == "true"
    assert ann.add(2).status_code == 201
    assert keyed_add(bob, "k3").status_code == 201
    # an expired key makes room, also before the job retention has deleted it
    write("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours' WHERE key = 'k1'")
    assert keyed_add(ann, "k3").status_code == 200
    assert problem(keyed_add(ann, "k5")) == (429, "rate-limited")
    assert ann.in_cart() == {1: 4, 2: 1}


def test_a_long_answer_is_not_stored_but_made_again(
    ann: Shopper, bob: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keyed_add(ann, "add")
    # an answer of one line is shorter, whatever the digits of its times; one of two lines is longer
    monkeypatch.setattr(http, "MAX_STORED_BYTES", len(first.content) + 50)
    bystander = keyed_add(bob, "add")
    keyed_add(ann, "more", 2)
    stored = read("SELECT owner, key, octet_length(body) FROM idempotency_keys ORDER BY owner, key")
    assert [tuple(row) for row in stored] == [
        ("ann", "add", len(first.content)),
        ("ann", "more", 0),
        ("bob", "add", len(bystander.content)),
    ]
    ann.add(3)
    again = keyed_add(ann, "more", 2)
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")
    assert [item["product"]["id"] for item in again.json()["items"]] == [1, 2, 3]
    assert ann.in_cart() == {1: 1, 2: 1, 3: 1}
    assert keyed_add(bob, "add").content == bystander.content
    # a checkout's answer is its order
    monkeypatch.setattr(http, "MAX_STORED_BYTES", 10)
    order = ann.check_out(KEY)
    assert read("SELECT octet_length(body) FROM idempotency_keys WHERE key = :key", key=KEY)[0][0] == 0
    repeated = ann.check_out(KEY)
    assert (repeated.json(), repeated.headers["location"]) == (order.json(), order.headers["location"])
    assert len(ann.orders()) == 1


def test_a_client_stores_little_with_each_key(ann: Shopper, bob: Shopper) -> None:
    """A request of 100 bytes stores at most 8 KiB, whatever its cart holds."""
    write(
        "INSERT INTO products (id, name, price, quantity) "
        "SELECT id, 'Product ' || id, 1, 5 FROM generate_series(101, 140) AS id"
    )
    for product_id in range(101, 141):
        ann.add(product_id)
    answers = [keyed_add(ann, f"k{number}") for number in range(3)]
    small = keyed_add(bob, "k0")
    assert min(len(answer.content) for answer in answers) > 8_192 > len(small.content)
    stored = read("SELECT owner, sum(octet_length(body)) FROM idempotency_keys GROUP BY owner ORDER BY owner")
    assert [tuple(row) for row in stored] == [("ann", 0), ("bob", len(small.content))]
    # a key that stored nothing still takes effect once
    assert keyed_add(ann, "k2").headers["idempotent-replayed"] == "true"
    assert ann.in_cart()[1] == 3
    assert keyed_add(bob, "k0").content == small.content


def test_an_answer_of_staff_is_stored_whole(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a route that can make its answer again may leave it out."""
    from starlette.responses import Response

    from shared.clients.postgres import transaction

    monkeypatch.setattr(http, "MAX_STORED_BYTES", 1)

    def work(finish: http.Finish) -> Response:
        with transaction() as connection:
            answer = Response(b"long", 201)
            finish(connection, answer)
        return answer

    for _ in range(2):
        assert bytes(http.once("k", "POST /x", b"h", work).body) == b"long"
