"""Personal data in every table: the export is complete, and erasure leaves no trace."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.catalog import searches
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import bearer, login, register
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

COLUMNS = """
SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c
JOIN information_schema.tables t USING (table_schema, table_name)
WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' ORDER BY 1, 2"""


def found_in(*needles: str) -> list[str]:
    """Return every ``table.column`` of the database that contains one of the texts, in whatever type."""
    columns = []
    for table, column, kind in postgres.read(COLUMNS):
        # bytes are searched as text, whatever else they are
        text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
        condition = " OR ".join(f"strpos(lower({text}), lower(:n{number})) > 0" for number in range(len(needles)))
        parameters = {f"n{number}": needle for number, needle in enumerate(needles)}
        if count_rows(f'"{table}"', condition, **parameters):
            columns.append(f"{table}.{column}")
    return columns


def use_everything(accounts: httpx.Client, serve: Serve, name: str, local_part: str) -> dict[str, Any]:
    """Register a guest's account and use every feature that stores data; return tokens, guest and all names."""
    email = f"{local_part}@example.com"
    apply, shop, products = serve("update_preferences"), serve("recommendations"), serve("products")
    guest = accounts.post("/auth/guest").json()
    session = {"session_id": f"of {email}", "metadata": {"note": f"{name} was here"}}
    deliver(apply, guest["user_id"], event(1, **session), event(2, "purchase", **session), event(999))
    tokens = register(accounts, name, email=email, guest_user_id=guest["user_id"])
    headers = bearer(tokens)
    deliver(apply, tokens["user_id"], event(3, "add_to_cart", **session), event(998))
    answer = shop.get("/recommendations?k=3", headers=headers).json()
    feedback = {
        "recommendation_id": answer["recommendation_id"],
        "action": "click",
        "product_id": answer["recommendations"][0]["id"],
    }
    assert shop.post("/recommendations/feedback", json=feedback).status_code == 202
    shop.get("/similar-products?product_id=1", headers=headers)
    products.get(f"/products?search={name}", headers=headers)
    products.get("/products?search=lamp", headers=headers)
    searches.flush()
    cart = serve("cart")
    for product in (4, 5):
        added = cart.post("/cart/items", headers=headers, json={"product_id": product, "quantity": 1})
        assert added.status_code == 201, added.text
        if product == 4:
            placed = cart.post("/cart/checkout", headers=headers | {"Idempotency-Key": "k"}, json={})
            assert placed.status_code == 201, placed.text
    assert cart.put("/wishlist/6", headers=headers).is_success
    accounts.put("/users/me/location", json={"latitude": 51.5, "longitude": -0.1, "city": "London"}, headers=headers)
    login(accounts, local_part, "a guess at it")
    postgres.write(
        """INSERT INTO audit_log (actor, action, subject, before) VALUES
           (:u, 'rule.add', '1', NULL), ('admin', 'user.role', 'user:' || :u, '{"role": "user"}')""",
        u=tokens["user_id"],
    )
    postgres.write(
        """INSERT INTO outbox (topic, data, attributes)
           VALUES ('user-events', :d, jsonb_build_object('user_id', cast(:u AS text)))""",
        d=tokens["user_id"].encode(),
        u=tokens["user_id"],
    )
    postgres.write(
        "INSERT INTO idempotency_keys (key, route, request_hash, body, owner) VALUES (:k, 'POST /x', '', :b, :u)",
        k=f"of {name}",
        u=tokens["user_id"],
        b=f'{{"user_id": "{tokens["user_id"]}"}}'.encode(),
    )
    needles = (tokens["user_id"], guest["user_id"], email, name)
    return {"tokens": tokens, "guest": guest["user_id"], "needles": needles}


@pytest.fixture
def person(accounts: httpx.Client, serve: Serve) -> dict[str, Any]:
    """An account that was a guest and has used every feature that stores data."""
    add_products(10)
    used = use_everything(accounts, serve, "ada-lovelace", "ada")
    searches.record([("lamp", 3, "another client")])
    return used


def test_the_search_for_personal_data_covers_every_kind_of_column(person: dict[str, Any]) -> None:
    columns = found_in(*person["needles"])
    assert {
        "users.external_id",
        "users.email",
        "users.username",
        "recommendation_log.user_id",
        "rejected_events.event",
        "events.metadata",
        "events.session_id",
        "search_history.query",
        "search_counts.query",
        "outbox.data",
        "idempotency_keys.body",
    } <= set(columns)


def test_an_erased_person_is_in_no_column_of_any_table(accounts: httpx.Client, person: dict[str, Any]) -> None:
    before = count_rows("events"), count_rows("audit_log"), count_rows("event_counts_hourly")
    old_ids = [row[0] for row in postgres.read("SELECT id FROM users")]
    headers = bearer(person["tokens"])
    assert accounts.delete("/users/me", headers=headers).status_code == 204
    assert found_in(*person["needles"]) == []
    # the shop's counts are unchanged, and belong to none of the former users
    assert (count_rows("events"), count_rows("audit_log"), count_rows("event_counts_hourly")) == before
    assert count_rows("events", "user_id = ANY (:ids)", ids=old_ids) == 0
    (substitute,) = postgres.read("SELECT DISTINCT external_id FROM events e JOIN users u ON u.id = e.user_id")
    assert substitute[0].startswith("erased_")
    # what others searched for as well stays counted
    assert [tuple(row) for row in postgres.read("SELECT query, searches FROM search_counts")] == [("lamp", 2)]
    for table in (
        "user_preferences",
        "user_price_bands",
        "user_purchases",
        "search_history",
        "refresh_tokens",
        "recommendation_log",
        "recommendation_feedback",
        "login_failures",
    ):
        expected = 1 if table == "login_failures" else 0  # of the network address, which belongs to no account
        assert count_rows(table) == expected, table
    assert count_rows("cart_items") == count_rows("wishlist_items") == 0
    assert postgres.read("SELECT user_id, state FROM orders")[0] == (None, "paid")
    assert not redis_sync.client().exists(f"rec:{person['tokens']['user_id']}")


def test_nothing_of_another_user_is_erased(accounts: httpx.Client, serve: Serve, person: dict[str, Any]) -> None:
    other = use_everything(accounts, serve, "bob-babbage", "bob")

    def stored() -> tuple[dict[str, Any], list[str]]:
        export = accounts.get("/users/me/export", headers=bearer(other["tokens"])).json()
        return export | {"exported_at": None}, found_in(*other["needles"])

    before = stored()
    assert {"outbox.attributes", "rejected_events.event", "search_counts.query"} <= set(before[1])
    assert accounts.delete("/users/me", headers=bearer(person["tokens"])).status_code == 204
    assert stored() == before


def test_an_erased_person_is_in_no_stored_answer(accounts: httpx.Client, person: dict[str, Any]) -> None:
    accounts.delete("/users/me", headers=bearer(person["tokens"]))
    redis = redis_sync.client()
    for key in redis.keys("*"):
        name = key.decode()
        if name.startswith("recgen:"):
            # the generation lives for an hour, so that an answer computed before the erasure is not stored after it
            assert 0 < redis.ttl(name) <= 3600
            continue
        value = redis.dump(name) or b""
        for needle in person["needles"]:
            assert needle not in name
            assert needle.encode() not in value


def test_after_erasure_the_tokens_lead_nowhere(accounts: httpx.Client, person: dict[str, Any]) -> None:
    headers = bearer(person["tokens"])
    accounts.delete("/users/me", headers=headers)
    for method, path in (("GET", ""), ("GET", "/preferences"), ("GET", "/export"), ("DELETE", "")):
        answer = accounts.request(method, f"/users/me{path}", headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:aisle:problem:invalid-token")
    refreshed = accounts.post("/auth/refresh", json={"refresh_token": person["tokens"]["refresh_token"]})
    assert refreshed.status_code == 401
    assert login(accounts, "ada").status_code == 401
    # email and username are free again
    register(accounts, "ada-lovelace", email="ada@example.com")


def test_late_events_and_searches_do_not_restore_an_erased_user(
    accounts: httpx.Client, serve: Serve, person: dict[str, Any]
) -> None:
    accounts.delete("/users/me", headers=bearer(person["tokens"]))
    users = count_rows("users")
    apply = serve("update_preferences")
    for user_id in (person["tokens"]["user_id"], person["guest"]):
        assert deliver(apply, user_id, event(4), event(5, "purchase")).status_code == 200
    serve("products").get("/products?search=bags", headers=bearer(person["tokens"]))
    serve("recommendations").get("/recently-viewed", headers=bearer(person["tokens"]))
    assert count_rows("users") == users
    assert "users.external_id" not in found_in(*person["needles"])


def test_users_recreated_during_erasure_are_erased_again_by_the_job(
    accounts: httpx.Client, serve: Serve, person: dict[str, Any]
) -> None:
    bystander = register(accounts, "bob")["user_id"]
    accounts.delete("/users/me", headers=bearer(person["tokens"]))
    postgres.write("ALTER TABLE users DISABLE TRIGGER users_stay_erased")
    for user_id in (person["tokens"]["user_id"], person["guest"]):
        postgres.write("INSERT INTO users (external_id) VALUES (:u)", u=user_id)
    postgres.write("ALTER TABLE users ENABLE TRIGGER users_stay_erased")
    job = serve("retention")
    assert job.post("/", json={}).json()["erased_again"] == 2
    assert found_in(*person["needles"]) == []
    assert job.post("/", json={}).json()["erased_again"] == 0
    assert count_rows("users", "external_id = :u", u=bystander) == 1


def test_an_export_is_complete_and_contains_nothing_of_another_user(
    accounts: httpx.Client, serve: Serve, person: dict[str, Any]
) -> None:
    deliver(serve("update_preferences"), "somebody else", event(7, metadata={"of": "somebody else"}))
    answer = accounts.get("/users/me/export", headers=bearer(person["tokens"]))
    assert answer.status_code == 200
    export = answer.json()
    assert "attachment" in answer.headers["content-disposition"]
    assert export["profile"]["email"] == "ada@example.com"
    assert export["guests"] == [{"user_id": person["guest"]}]
    assert sorted(event["product_id"] for event in export["events"]) == [1, 2, 3]
    assert [purchase["product_id"] for purchase in export["purchases"]] == [2]
    assert [search["query"] for search in export["searches"]] == ["ada-lovelace", "lamp"]
    assert {preference["kind"] for preference in export["preferences"]} == {"category", "brand", "tag"}
    assert len(export["recommendations"]) == 2
    assert [entry["action"] for entry in export["feedback"]] == ["click"]
    assert len(export["rejected_events"]) == 2
    assert export["price_band"]
    assert [item["product_id"] for item in export["cart"]] == [5]
    assert [item["product_id"] for item in export["wishlist"]] == [6]
    assert [order["items"][0]["product_id"] for order in export["orders"]] == [4]
    assert export["logins"]
    assert "somebody else" not in answer.text
    # secrets are not given out, not even to their owner
    assert "argon2" not in answer.text
    assert "digest" not in answer.text


def test_a_guest_exports_and_erases_too(accounts: httpx.Client, serve: Serve) -> None:
    add_products(3)
    guest = accounts.post("/auth/guest").json()
    deliver(serve("update_preferences"), guest["user_id"], event(1))
    assert len(accounts.get("/users/me/export", headers=bearer(guest)).json()["events"]) == 1
    assert accounts.delete("/users/me", headers=bearer(guest)).status_code == 204
    assert found_in(guest["user_id"]) == []
