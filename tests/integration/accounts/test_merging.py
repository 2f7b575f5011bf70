"""A guest who logs in: the guest's data belong to the account afterwards, and count once."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared import messages
from shared.clients import postgres, redis_sync
from shared.storage.people import merging
from tests.integration.concurrency import run_concurrently
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event, push
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.shop import add_products, now
from tests.integration.tables import count_rows


@pytest.fixture
def events() -> list[dict[str, Any]]:
    """Events of one person, as of this test."""
    return [
        event(1, "view", ago=timedelta(days=20)),
        event(2, "purchase", ago=timedelta(days=9)),
        event(3, "add_to_cart", ago=timedelta(days=2)),
        event(2, "purchase", ago=timedelta(hours=1)),
        event(None, "search", ago=timedelta(hours=1)),
    ]


def taste(user_id: str) -> dict[tuple[str, str], tuple[float, Any]]:
    rows = postgres.read(
        """SELECT kind, key, score, p.as_of FROM user_preferences p JOIN users u ON u.id = p.user_id
           WHERE external_id = :u ORDER BY 1, 2""",
        u=user_id,
    )
    return {(row[0], row[1]): (pytest.approx(row[2], rel=1e-9), row[3]) for row in rows}


def band(user_id: str) -> list[Any]:
    rows = postgres.read(
        """SELECT weight, log_sum, square_sum FROM user_price_bands b JOIN users u ON u.id = b.user_id
           WHERE external_id = :u""",
        u=user_id,
    )
    return [pytest.approx(value, rel=1e-9) for value in rows[0]] if rows else []


def test_a_merged_guest_leaves_the_same_state_as_a_single_user(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    apply = serve("update_preferences")
    account = register(accounts)["user_id"]
    # the same events of a single user, and split between an account and a guest
    deliver(apply, "whole", *[event | {"event_id": event["event_id"][:-4] + "0000"} for event in events])
    deliver(apply, account, events[0], events[3])
    deliver(apply, "browser-1", events[1], events[2], events[4])
    for _ in range(2):
        assert login(accounts, guest_user_id="browser-1").status_code == 200
        assert taste(account) == taste("whole")
        assert band(account) == band("whole")
        assert count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=account) == len(events)
        bought = postgres.read(
            """SELECT product_id, purchase_count, first_at, last_at FROM user_purchases p
               JOIN users u ON u.id = p.user_id WHERE external_id = :u""",
            u=account,
        )
        assert [tuple(row) for row in bought] == [(2, 2, now() - timedelta(days=9), now() - timedelta(hours=1))]
    assert taste("browser-1") == {}
    assert band("browser-1") == []


def test_searches_location_and_logged_answers_are_merged(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    products, recommendations = serve("products"), serve("recommendations")
    guest = accounts.post("/auth/guest").json()
    place = {"latitude": 52.5, "longitude": 13.4, "city": "Berlin"}
    assert accounts.put("/users/me/location", json=place, headers=bearer(guest)).status_code == 200
    for query in ("lantern", "Lantern ", "bag"):
        products.get("/products", params={"search": query, "user_id": guest["user_id"]})
    answer = recommendations.get("/recommendations", params={"user_id": guest["user_id"], "k": 2}).json()
    tokens = register(accounts, guest_user_id=guest["user_id"])
    headers = bearer(tokens)
    history = accounts.get("/users/me/search-history", headers=headers).json()
    assert [(search["query"], search["searches"]) for search in history["searches"]] == [("bag", 1), ("lantern", 2)]
    profile = accounts.get("/users/me", headers=headers).json()
    assert {name: profile[name] for name in place} == place
    assert (
        count_rows(
            "recommendation_log",
            "id = cast(:i AS uuid) AND user_id = :u",
            i=answer["recommendation_id"],
            u=tokens["user_id"],
        )
        == 1
    )
    # another tab is still the guest's, who has nothing left
    assert accounts.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]}).status_code == 200
    assert accounts.get("/users/me/search-history", headers=bearer(guest)).json()["total"] == 0


def test_a_guest_belongs_to_the_first_account_that_names_them(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *events[:2])
    first, second = register(accounts, guest_user_id="browser-1"), register(accounts, "eve")
    answer = login(accounts, "eve", guest_user_id="browser-1")
    assert answer.json()["merge"] == {"merged": False, "left_cart_items": [], "left_wishlist": []}
    assert count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=first["user_id"]) == 2
    assert count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=second["user_id"]) == 0


def test_the_logged_answers_of_others_stay_theirs_when_a_guest_is_merged(accounts: httpx.Client) -> None:
    for user in ("browser-1", "browser-2"):
        postgres.write(
            """INSERT INTO recommendation_log (id, user_id, kind, strategy, product_ids, at)
               VALUES (gen_random_uuid(), :user, 'k', 's', '{}', now())""",
            user=user,
        )
    account = register(accounts, guest_user_id="browser-1")["user_id"]
    owners = postgres.read("SELECT user_id FROM recommendation_log ORDER BY 1")
    assert [row[0] for row in owners] == [account, "browser-2"]


def test_an_account_is_merged_into_no_other_whoever_asks(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    """The routes refuse an account's id before; this is the last check, under the lock."""
    add_products(10)
    ada, eve = register(accounts)["user_id"], register(accounts, "eve")["user_id"]
    deliver(serve("update_preferences"), ada, *events[:2])
    before = taste(ada)
    with postgres.transaction() as connection:
        eve_row = postgres.execute(connection, "SELECT id FROM users WHERE external_id = :u", {"u": eve})[0][0]
        assert not merging.merge(connection, ada, eve_row, eve).merged
        # nor into itself
        assert not merging.merge(connection, eve, eve_row, eve).merged
    assert count_rows("users", "merged_into IS NOT NULL") == 0
    assert (taste(ada), taste(eve)) == (before, {})


def test_an_unknown_guest_does_not_prevent_a_login(accounts: httpx.Client) -> None:
    tokens = register(accounts, guest_user_id="never seen")
    assert login(accounts, guest_user_id="never seen either").status_code == 200
    assert login(accounts, guest_user_id=None).status_code == 200
    answer = login(accounts, guest_user_id=tokens["user_id"])
    assert answer.status_code == 422


def test_logins_at_once_merge_once(accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *events)
    before = taste("browser-1")
    account = register(accounts)["user_id"]
    run_concurrently(lambda _number: login(accounts, guest_user_id="browser-1"), range(4))
    assert taste(account) == before


def test_events_follow_their_merged_guest_by_the_time_of_their_publication(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    apply = serve("update_preferences")
    deliver(apply, "browser-1", events[0])
    deliver(apply, "bystander", events[4])
    tokens = register(accounts, guest_user_id="browser-1")
    account = tokens["user_id"]
    redis_sync.client().hset(f"rec:{account}", "k=1", b"0\nstale")
    ((merged_at,),) = postgres.read("SELECT merged_at FROM users WHERE merged_at IS NOT NULL")

    def events_of(user_id: str) -> int:
        return count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=user_id)

    # it arrives an hour after the merge, but was published before it
    postgres.write("UPDATE users SET merged_at = merged_at - interval '1 hour' WHERE merged_at IS NOT NULL")
    moment = merged_at - timedelta(hours=1)
    deliver(apply, "browser-1", events[1], publishTime=(moment - timedelta(milliseconds=1)).isoformat())
    assert events_of(account) == 2
    assert not redis_sync.client().exists(f"rec:{account}")
    # published after the merge: the browser is a guest's again until the next login
    deliver(apply, "browser-1", events[2], publishTime=(moment + timedelta(milliseconds=1)).isoformat())
    deliver(apply, "browser-1", events[3])
    assert (events_of(account), events_of("browser-1"), events_of("bystander")) == (2, 2, 1)
    # waited in the outbox, or was a dead letter
    data, attributes = messages.user_events("browser-1", [events[4] | {"event_id": "late"}], published_at=moment)
    push(apply, data, attributes, publishTime=now().isoformat())
    assert (events_of(account), events_of("browser-1")) == (3, 2)


def test_both_users_answers_are_new_after_a_merge(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *events[:2])
    account = register(accounts)["user_id"]
    for user in ("browser-1", account):
        redis_sync.client().hset(f"rec:{user}", "k=1", b"0\nstale")
    login(accounts, guest_user_id="browser-1")
    assert not redis_sync.client().exists("rec:browser-1", f"rec:{account}")


def items(client: httpx.Client, user: str | dict[str, str]) -> dict[int, int]:
    """Return the cart of a guest (by id) or of a token's holder."""
    params, headers = ({"user_id": user}, {}) if isinstance(user, str) else ({}, user)
    cart = client.get("/cart", params=params, headers=headers).json()
    return {line["product"]["id"]: line["quantity"] for line in cart["items"]}


def test_cart_wishlist_and_orders_are_merged_and_quantities_add_up_to_the_stock(
    accounts: httpx.Client, serve: Serve
) -> None:
    add_products(10)
    cart = serve("cart")
    tokens = register(accounts)
    headers, guest = bearer(tokens), {"user_id": "browser-1"}
    for product, quantity in ((4, 1),):
        cart.post("/cart/items", params=guest, json={"product_id": product, "quantity": quantity})
    order = cart.post("/cart/checkout", params=guest, json={}, headers={"Idempotency-Key": "first"})
    assert order.status_code == 201, order.text
    for product, quantity in ((1, 2), (2, 4), (3, 3), (5, 5)):
        added = cart.post("/cart/items", params=guest, json={"product_id": product, "quantity": quantity})
        assert added.status_code == 201, added.text
    for product, quantity in ((2, 3), (3, 1), (6, 1)):
        cart.post("/cart/items", headers=headers, json={"product_id": product, "quantity": quantity})
    for product in (7, 8):
        assert cart.put(f"/wishlist/{product}", params=guest).is_success
    assert cart.put("/wishlist/8", headers=headers).is_success
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 5")
    for _ in range(2):
        answer = login(accounts, guest_user_id="browser-1")
        # there are five of product 2; everything else moves whole, also what sold out meanwhile
        assert items(cart, headers) == {1: 2, 2: 5, 3: 4, 5: 5, 6: 1}
        assert items(cart, "browser-1") == {2: 2}
        assert answer.json()["merge"] == {
            "merged": True,
            "left_cart_items": [{"product_id": 2, "quantity": 2, "reason": "insufficient_stock"}],
            "left_wishlist": [],
        }
        wished = cart.get("/wishlist", headers=headers).json()["items"]
        assert {item["product"]["id"] for item in wished} == {7, 8}
        orders = cart.get("/orders", headers=headers).json()["orders"]
        assert [placed["id"] for placed in orders] == [order.json()["id"]]
    sold_out = [item for item in cart.get("/cart", headers=headers).json()["items"] if item["product"]["id"] == 5]
    assert sold_out[0]["changes"] == ["out_of_stock"]
    assert cart.get("/orders", params=guest).json()["orders"] == []


FILL = """INSERT INTO cart_items (user_id, product_id, quantity, price_when_added, added_at)
          SELECT (SELECT id FROM users WHERE external_id = :u), n, :q, 1, now() + n * interval '1 second'
          FROM generate_series(cast(:a AS integer), cast(:b AS integer)) AS n"""
WISH = """INSERT INTO wishlist_items (user_id, product_id, added_at)
          SELECT (SELECT id FROM users WHERE external_id = :u), n, now() + n * interval '1 second'
          FROM generate_series(cast(:a AS integer), cast(:b AS integer)) AS n"""


def products_of(table: str, user: str) -> list[int]:
    rows = postgres.read(
        f"SELECT product_id FROM {table} i JOIN users u ON u.id = i.user_id WHERE external_id = :u ORDER BY 1", u=user
    )
    return [row[0] for row in rows]


def test_lines_and_wishes_beyond_the_limit_stay_with_the_guest(accounts: httpx.Client, env: dict[str, str]) -> None:
    add_products(1200)
    account = register(accounts)["user_id"]
    postgres.write("INSERT INTO users (external_id) VALUES ('browser-1'), ('bystander')")
    postgres.write(FILL, u=account, q=1, a=1, b=150)
    postgres.write(FILL, u="browser-1", q=1, a=141, b=290)
    postgres.write(FILL, u="bystander", q=1, a=1, b=150)
    postgres.write(WISH, u=account, a=1, b=999)
    postgres.write(WISH, u="browser-1", a=999, b=1002)
    answer = login(accounts, guest_user_id="browser-1")
    # the guest's latest 50 new products, and the pieces of the ten that both had
    assert products_of("cart_items", account) == [*range(1, 151), *range(241, 291)]
    assert products_of("cart_items", "browser-1") == [*range(151, 241)]
    assert products_of("wishlist_items", account) == [*range(1, 1000), 1002]
    assert products_of("wishlist_items", "browser-1") == [1000, 1001]
    merge = answer.json()["merge"]
    assert merge["left_wishlist"] == [1000, 1001]
    left = [{"product_id": n, "quantity": 1, "reason": "cart_full"} for n in range(151, 241)]
    assert merge["left_cart_items"] == left
    assert count_rows("cart_items", "product_id BETWEEN 141 AND 150 AND quantity = 2") == 10
    assert products_of("cart_items", "bystander") == [*range(1, 151)]
    # room again: the next login takes along what fits
    postgres.write(
        """DELETE FROM cart_items WHERE product_id <= 150
           AND user_id <> (SELECT id FROM users WHERE external_id = 'bystander')"""
    )
    postgres.write("DELETE FROM wishlist_items WHERE product_id = 1")
    merge = login(accounts, guest_user_id="browser-1").json()["merge"]
    assert merge == {"merged": True, "left_cart_items": [], "left_wishlist": [1000]}
    assert products_of("cart_items", account) == [*range(151, 291)]


def test_pieces_beyond_the_limit_of_a_line_and_of_the_stock_stay(accounts: httpx.Client, env: dict[str, str]) -> None:
    add_products(4)
    account = register(accounts)["user_id"]
    postgres.write("UPDATE products SET quantity = CASE id WHEN 1 THEN 5000 ELSE 5 END")
    postgres.write("INSERT INTO users (external_id) VALUES ('browser-1')")
    for product, own, guests in ((1, 500, 500), (2, 8, 7), (3, 2, 3), (4, 2, 4)):
        postgres.write(FILL, u=account, q=own, a=product, b=product)
        postgres.write(FILL, u="browser-1", q=guests, a=product, b=product)
    merge = login(accounts, guest_user_id="browser-1").json()["merge"]
    assert [tuple(left.values()) for left in merge["left_cart_items"]] == [
        (1, 1, "quantity_limit"),
        (2, 7, "insufficient_stock"),
        (4, 1, "insufficient_stock"),
    ]
    rows = postgres.read("SELECT product_id, sum(quantity), max(quantity) FROM cart_items GROUP BY 1 ORDER BY 1")
    # what the account has itself is not cut, and no piece is lost
    assert [tuple(row) for row in rows] == [(1, 1000, 999), (2, 15, 8), (3, 5, 5), (4, 6, 5)]


def test_a_further_login_takes_along_what_came_since(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    cart, apply = serve("cart"), serve("update_preferences")
    guest = accounts.post("/auth/guest").json()
    params, account = {"user_id": guest["user_id"]}, register(accounts, guest_user_id=guest["user_id"])
    # another tab is still the guest's: it shops, looks and orders
    deliver(apply, guest["user_id"], events[0])
    cart.post("/cart/items", params=params, json={"product_id": 4})
    order = cart.post("/cart/checkout", params=params, headers={"Idempotency-Key": "k"})
    assert order.status_code == 201, order.text
    cart.post("/cart/items", params=params, json={"product_id": 1, "quantity": 2})
    cart.put("/wishlist/3", params=params)
    assert items(cart, guest["user_id"]) == {1: 2}
    for _ in range(2):
        tokens = login(accounts, guest_user_id=guest["user_id"]).json()
        assert tokens["merge"] == {"merged": True, "left_cart_items": [], "left_wishlist": []}
        headers = bearer(tokens)
        assert items(cart, headers) == {1: 2}
        assert products_of("wishlist_items", account["user_id"]) == [3]
        orders = cart.get("/orders", headers=headers).json()["orders"]
        assert [placed["id"] for placed in orders] == [order.json()["id"]]
        assert count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=account["user_id"]) == 1
    assert login(accounts).json()["merge"] is None


def test_logins_at_once_lose_and_double_nothing(accounts: httpx.Client, serve: Serve) -> None:
    add_products(300)
    first = register(accounts)["user_id"]
    second = register(accounts, "eve")["user_id"]
    postgres.write("INSERT INTO users (external_id) VALUES ('browser-1'), ('browser-2')")
    postgres.write(FILL, u="browser-1", q=1, a=1, b=150)
    postgres.write(FILL, u="browser-2", q=1, a=151, b=300)
    logins = [("ada", "browser-1"), ("ada", "browser-2"), ("eve", "browser-1"), ("eve", "browser-2")]
    for _ in range(2):
        answers = run_concurrently(lambda pair: login(accounts, pair[0], guest_user_id=pair[1]), logins)
        assert [answer.status_code for answer in answers] == [200] * 4
    assert count_rows("cart_items") == count_rows("cart_items", "quantity = 1") == 300
    owners = {row[0] for row in postgres.read("SELECT merged_into FROM users WHERE merged_into IS NOT NULL")}
    ids = {row[0] for row in postgres.read("SELECT id FROM users WHERE external_id IN (:a, :b)", a=first, b=second)}
    assert owners <= ids


def test_events_of_a_guest_whom_nobody_knows_yet_follow(
    accounts: httpx.Client, serve: Serve, events: list[dict[str, Any]]
) -> None:
    add_products(10)
    account = register(accounts, guest_user_id="browser-1")["user_id"]
    deliver(serve("update_preferences"), "browser-1", events[0], publishTime="2026-01-01T00:00:00Z")
    assert count_rows("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=account) == 1


def test_the_same_key_before_and_after_a_login_is_one_request(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    cart = serve("cart")
    tokens = register(accounts)
    cart.post("/cart/items", headers=bearer(tokens), json={"product_id": 1, "quantity": 4})
    guest, stranger = {"user_id": "browser-1"}, {"user_id": "stranger"}
    added = {"json": {"product_id": 2, "quantity": 2}}
    key, other = {"Idempotency-Key": "add-1"}, {"Idempotency-Key": "order-1"}
    lost = cart.post("/cart/items", params=guest, headers=key, **added)
    assert lost.status_code == 201
    order = cart.post("/cart/checkout", params=guest, headers=other)
    assert order.status_code == 201
    # a bystander's key of the same text
    assert cart.post("/cart/items", params=stranger, headers=key, **added).status_code == 201
    headers = bearer(login(accounts, guest_user_id="browser-1").json())
    again = cart.post("/cart/items", headers=headers | key, **added)
    assert (again.status_code, again.headers["idempotent-replayed"], again.json()) == (201, "true", lost.json())
    repeated = cart.post("/cart/checkout", headers=headers | other)
    assert (repeated.status_code, repeated.json()["id"]) == (201, order.json()["id"])
    changed = cart.post("/cart/checkout", headers=headers | other, json={"expected_total": 1})
    assert changed.status_code == 422
    assert items(cart, headers) == {1: 4}
    assert len(cart.get("/orders", headers=headers).json()["orders"]) == 1
    # the guest's tab and the bystander have their own
    assert cart.post("/cart/checkout", params=guest, headers=other).json()["id"] == order.json()["id"]
    bought = cart.post("/cart/checkout", params=stranger, headers=other)
    assert bought.status_code == 201
    assert bought.json()["id"] != order.json()["id"]
    # a new key is a new request
    assert cart.post("/cart/checkout", headers=headers | {"Idempotency-Key": "order-2"}).status_code == 201


def test_a_checkout_that_a_crash_interrupted_before_the_login_is_finished_after_it(
    accounts: httpx.Client, serve: Serve
) -> None:
    add_products(10)
    cart = serve("cart")
    guest, key = {"user_id": "browser-1"}, {"Idempotency-Key": "order-1"}
    cart.post("/cart/items", params=guest, json={"product_id": 2})
    order = cart.post("/cart/checkout", params=guest, headers=key).json()["id"]
    # the answer was not stored: the request crashed a minute ago, after the order was placed
    postgres.write(
        """UPDATE idempotency_keys SET status = NULL, body = NULL, content_type = NULL,
               created_at = now() - interval '61 seconds'"""
    )
    tokens = register(accounts, guest_user_id="browser-1")
    cart.post("/cart/items", headers=bearer(tokens), json={"product_id": 3})
    repeated = cart.post("/cart/checkout", headers=bearer(tokens) | key)
    assert (repeated.status_code, repeated.json()["id"]) == (201, order)
    assert items(cart, bearer(tokens)) == {3: 1}


def test_a_guest_without_proof_is_refused_with_the_remedy(accounts: httpx.Client) -> None:
    guest = accounts.post("/auth/guest").json()["user_id"]
    body = {"username": "ada", "email": "ada@example.com", "password": PASSWORD, "guest_user_id": guest}
    refused = accounts.post("/auth/register", json=body)
    assert refused.status_code == 401
    assert refused.json()["detail"].startswith("Merging a guest needs proof: send the guest's access token")
    # a profile without a credential has another remedy
    assert accounts.get("/users/me").json()["detail"].startswith("Send the user's access token")
