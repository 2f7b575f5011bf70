"""What the job that settles orders changes is seen at once: stored answers are dropped, and messages leave."""

from pathlib import Path
from uuid import uuid4

import pytest

from shared.clients import postgres, redis_sync
from shared.storage.answers import protocol
from tests.integration.conftest import Messages, Serve
from tests.integration.jobs.test_load_events import load, time_after, write
from tests.integration.jobs.test_popular import ranking
from tests.integration.people import login, register
from tests.integration.shop import add_products
from tests.integration.storage.events.test_refunds import order, purchases, refund, store


@pytest.fixture(autouse=True)
def shop(env: dict[str, str]) -> None:
    add_products()


def test_a_refund_that_waited_changes_its_shopper_s_answers_and_the_ranking(serve: Serve) -> None:
    accounts, recommendations, job = serve("accounts"), serve("recommendations"), serve("settle_orders")
    account = register(accounts, "ann")["user_id"]
    guest = accounts.post("/auth/guest").json()["user_id"]
    store("bob", order(user_id="bob"))
    store(guest, order(user_id=guest))
    store(account, refund(user_id=account))
    tokens = login(accounts, "ann", guest_user_id=guest).json()
    serve("popular").post("/", json={})
    assert ranking() == [(1, 4), (2, 2)]
    for query in ({"headers": {"Authorization": f"Bearer {tokens['access_token']}"}}, {"params": {"user_id": "bob"}}):
        assert recommendations.get("/recommendations", **query).status_code == 200
    keys = [protocol.user_key(user) for user in (account, "bob")]
    redis = redis_sync.client()
    assert [redis.exists(key) for key in keys] == [1, 1]
    assert job.post("/", json={}).json()["refunds_settled"] == 1
    assert [redis.exists(key) for key in keys] == [0, 1]
    assert ranking() == [(1, 2), (2, 1)]


def test_an_abandoned_order_returns_its_stock_to_product_pages_and_announces_it(
    serve: Serve, messages: Messages
) -> None:
    products, job = serve("products"), serve("settle_orders")
    # product 1 is sold out by the order; product 2 is not
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 1")
    postgres.write("INSERT INTO users (external_id) VALUES ('ann')")
    postgres.write(
        """WITH placed AS (
               INSERT INTO orders (id, user_id, request_hash, state, total, created_at)
               SELECT :id, id, '', 'placed', 13, now() - interval '121 seconds' FROM users WHERE external_id = 'ann'
               RETURNING id
           ), payment AS (
               INSERT INTO payments (order_id, provider, state, amount) SELECT id, 'fake', 'pending', 13 FROM placed
           )
           INSERT INTO order_items
               (order_id, product_id, external_id, name, quantity, price, event_id, price_when_added, added_at)
           SELECT placed.id, p.id, p.external_id, p.name, 1, p.price, gen_random_uuid(), p.price, now()
           FROM placed, products p WHERE p.id IN (1, 2)""",
        id=uuid4(),
    )

    def page(product_id: int) -> tuple[int, str]:
        answer = products.get(f"/products/{product_id}")
        return answer.json()["quantity"], answer.headers["cache-status"].removeprefix("aisle; ")

    for product_id, quantity in ((1, 0), (2, 5), (3, 5)):
        page(product_id)
        assert page(product_id) == (quantity, "hit")
    take = messages("catalog-changes")
    assert job.post("/", json={}).json()["given_up"] == 1
    assert [page(product_id)[0] for product_id in (1, 2)] == [1, 6]
    assert page(3) == (5, "hit")
    (message,) = take()
    assert message.data == b'{"product_ids":[1],"change":"stock"}'


def test_a_refund_finds_the_order_that_a_history_brings_under_a_merged_guest_s_id(serve: Serve, tmp_path: Path) -> None:
    accounts, job = serve("accounts"), serve("settle_orders")
    guest = accounts.post("/auth/guest").json()["user_id"]
    account = register(accounts, "ann", guest_user_id=guest)["user_id"]
    store(account, refund(user_id=account))
    metadata = '"{""order_id"": ""A-1""}"'
    loaded = write(
        tmp_path / "history.csv", *(f"{user},1,purchase,{time_after(0)},,,{metadata}," for user in (guest, "bob"))
    )
    assert load(serve, loaded).json()["stored"] == 2
    assert (purchases(guest), purchases("bob")) == ({1: 1}, {1: 1})
    assert job.post("/", json={}).json()["refunds_settled"] == 1
    assert (purchases(guest), purchases("bob")) == ({}, {1: 1})
