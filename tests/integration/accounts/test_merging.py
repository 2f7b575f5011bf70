"""A guest who logs in: what they did is the account's then, once."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.storage import cache, database
from tests.integration.accounts.people import bearer, count, login, registered
from tests.integration.shop import NOW, add_products, deliver, event

Serve = Callable[[str], httpx.Client]
EVENTS = [
    event(1, "view", ago=timedelta(days=20)), event(2, "purchase", ago=timedelta(days=9)),
    event(3, "add_to_cart", ago=timedelta(days=2)), event(2, "purchase", ago=timedelta(hours=1)),
    event(None, "search", ago=timedelta(hours=1)),
]  # fmt: skip


def taste(user_id: str) -> dict[tuple[str, str], tuple[float, Any]]:
    rows = database.read(
        """SELECT kind, key, score, p.as_of FROM user_preferences p JOIN users u ON u.id = p.user_id
           WHERE external_id = :u ORDER BY 1, 2""", u=user_id,
    )  # fmt: skip
    return {(row[0], row[1]): (pytest.approx(row[2], rel=1e-9), row[3]) for row in rows}


def band(user_id: str) -> list[Any]:
    rows = database.read(
        """SELECT weight, log_sum, square_sum FROM user_price_bands b JOIN users u ON u.id = b.user_id
           WHERE external_id = :u""", u=user_id,
    )  # fmt: skip
    return [pytest.approx(value, rel=1e-9) for value in rows[0]] if rows else []


def test_a_guest_becomes_what_one_user_would_have_been(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    apply = serve("update_preferences")
    account = registered(accounts)["user_id"]
    # the same events: of one user; and split between an account and a guest
    deliver(apply, "whole", *[one | {"event_id": one["event_id"][:-4] + "0000"} for one in EVENTS])
    deliver(apply, account, EVENTS[0], EVENTS[3])
    deliver(apply, "browser-1", EVENTS[1], EVENTS[2], EVENTS[4])
    for _ in range(2):
        assert login(accounts, guest_user_id="browser-1").status_code == 200
        assert taste(account) == taste("whole")
        assert band(account) == band("whole")
        assert count("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=account) == len(EVENTS)
        bought = database.read(
            """SELECT product_id, purchase_count, first_at, last_at FROM user_purchases p
               JOIN users u ON u.id = p.user_id WHERE external_id = :u""", u=account,
        )  # fmt: skip
        assert [tuple(row) for row in bought] == [(2, 2, NOW - timedelta(days=9), NOW - timedelta(hours=1))]
    assert taste("browser-1") == {}
    assert band("browser-1") == []


def test_searches_place_and_shown_answers_come_along(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    products, shown = serve("products"), serve("recommendations")
    guest = accounts.post("/auth/guest").json()
    place = {"latitude": 52.5, "longitude": 13.4, "city": "Berlin"}
    assert accounts.put("/users/me/location", json=place, headers=bearer(guest)).status_code == 200
    for query in ("lantern", "Lantern ", "bag"):
        products.get("/products", params={"search": query, "user_id": guest["user_id"]})
    answer = shown.get("/recommendations", params={"user_id": guest["user_id"], "k": 2}).json()
    tokens = registered(accounts, guest_user_id=guest["user_id"])
    mine = bearer(tokens)
    history = accounts.get("/users/me/search-history", headers=mine).json()
    assert [(one["query"], one["searches"]) for one in history["searches"]] == [("bag", 1), ("lantern", 2)]
    profile = accounts.get("/users/me", headers=mine).json()
    assert {name: profile[name] for name in place} == place
    assert count("recommendation_log", "id = cast(:i AS uuid) AND user_id = :u",
                 i=answer["recommendation_id"], u=tokens["user_id"]) == 1  # fmt: skip
    # the guest's tokens lead nowhere any more
    assert accounts.post("/auth/refresh", json={"refresh_token": guest["refresh_token"]}).status_code == 401
    assert accounts.get("/users/me/search-history", headers=bearer(guest)).json()["total"] == 0


def test_a_guest_belongs_to_the_first_account_that_names_them(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *EVENTS[:2])
    first, second = registered(accounts, guest_user_id="browser-1"), registered(accounts, "eve")
    assert login(accounts, "eve", guest_user_id="browser-1").status_code == 200
    assert count("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=first["user_id"]) == 2
    assert count("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=second["user_id"]) == 0


def test_a_guest_that_nobody_knows_is_no_hindrance(accounts: httpx.Client) -> None:
    tokens = registered(accounts, guest_user_id="never seen")
    assert login(accounts, guest_user_id="never seen either").status_code == 200
    assert login(accounts, guest_user_id=None).status_code == 200
    answer = login(accounts, guest_user_id=tokens["user_id"])
    assert answer.status_code == 422


def test_logins_at_once_merge_once(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *EVENTS)
    before = taste("browser-1")
    account = registered(accounts)["user_id"]
    threads = [
        threading.Thread(target=login, args=(accounts,), kwargs={"guest_user_id": "browser-1"}) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taste(account) == before


def test_events_that_were_on_their_way_follow_and_change_the_account_s_answers(
    accounts: httpx.Client, serve: Serve
) -> None:
    add_products(10)
    apply = serve("update_preferences")
    deliver(apply, "browser-1", EVENTS[0])
    tokens = registered(accounts, guest_user_id="browser-1")
    cache.client().hset(f"rec:{tokens['user_id']}", "k=1", b"0\nstale")
    deliver(apply, "browser-1", EVENTS[1])
    assert count("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=tokens["user_id"]) == 2
    assert not cache.client().exists(f"rec:{tokens['user_id']}")
    # much later the id is a visitor's like any other: it does not write into the account
    database.write("UPDATE users SET merged_at = now() - interval '11 minutes' WHERE merged_at IS NOT NULL")
    deliver(apply, "browser-1", EVENTS[2])
    assert count("events e JOIN users u ON u.id = e.user_id", "external_id = :u", u=tokens["user_id"]) == 2


def test_both_users_answers_are_new_after_a_merge(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    deliver(serve("update_preferences"), "browser-1", *EVENTS[:2])
    account = registered(accounts)["user_id"]
    for user in ("browser-1", account):
        cache.client().hset(f"rec:{user}", "k=1", b"0\nstale")
    login(accounts, guest_user_id="browser-1")
    assert not cache.client().exists("rec:browser-1", f"rec:{account}")
