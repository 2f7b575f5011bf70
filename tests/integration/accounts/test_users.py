"""Users read and change their own profile, location, preferences and searches."""

import math
import statistics
import time
import unicodedata
from typing import Any

import httpx
import pytest

from shared.clients import postgres, postgres_engine
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.shop import add_model, add_products

BERLIN, MUNICH = (52.52, 13.405), (48.137, 11.575)


def test_a_profile_is_shown_and_changed(accounts: httpx.Client) -> None:
    tokens = register(accounts)
    headers = bearer(tokens)
    profile = accounts.get("/users/me", headers=headers).json()
    assert (profile["user_id"], profile["username"], profile["email"], profile["role"]) == (
        tokens["user_id"],
        "ada",
        "ada@example.com",
        "user",
    )
    changed = accounts.patch("/users/me", json={"username": "countess", "city": "London"}, headers=headers)
    assert (changed.json()["username"], changed.json()["city"]) == ("countess", "London")
    assert accounts.patch("/users/me", json={"city": None}, headers=headers).json()["city"] is None
    assert accounts.get("/users/me", headers=headers).json()["username"] == "countess"


def test_a_new_email_needs_the_password(accounts: httpx.Client) -> None:
    headers = bearer(register(accounts))
    body: dict[str, Any] = {"email": "countess@example.com"}
    assert accounts.patch("/users/me", json=body, headers=headers).status_code == 422
    assert accounts.patch("/users/me", json=body | {"password": "a guess at it"}, headers=headers).status_code == 401
    assert accounts.patch("/users/me", json=body | {"password": PASSWORD}, headers=headers).status_code == 200
    assert login(accounts).status_code == 401
    assert login(accounts, "countess").status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, ""),
        ({"role": "admin"}, 422, "role"),
        ({"username": None}, 422, ""),
        ({"username": "a"}, 422, "username"),
        ({"city": "x" * 101}, 422, "city"),
        ({"city": "a\x00b"}, 422, "city"),
        ({"is_anonymous": True}, 422, "is_anonymous"),
        ({"username": "eve"}, 409, None),
        ({"email": "eve@example.com", "password": PASSWORD}, 409, None),
    ],
)
def test_an_invalid_profile_is_a_problem_and_changes_nothing(
    accounts: httpx.Client, body: dict[str, Any], status: int, field: str | None
) -> None:
    headers = bearer(register(accounts))
    register(accounts, "eve")
    before = accounts.get("/users/me", headers=headers).json()
    answer = accounts.patch("/users/me", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    if field is not None:
        assert field in [error["field"] for error in answer.json()["errors"]]
    assert accounts.get("/users/me", headers=headers).json() == before


@pytest.mark.parametrize("text", ["'; DROP TABLE users; --", "<script>alert(1)</script>", "{{7*7}}", "São Tomé", "Ḿ̷̛"])
def test_sql_and_markup_are_stored_as_text(accounts: httpx.Client, text: str) -> None:
    headers = bearer(register(accounts))
    answer = accounts.put("/users/me/location", json={"latitude": 1, "longitude": 2, "city": text}, headers=headers)
    assert answer.json()["city"] == unicodedata.normalize("NFKC", text)
    assert accounts.get("/users/me", headers=headers).json()["city"] == answer.json()["city"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"latitude": 1},
        {"latitude": 91, "longitude": 0},
        {"latitude": 0, "longitude": -181},
        {"latitude": "NaN", "longitude": 0},
        {"latitude": None, "longitude": None},
        {"latitude": "north", "longitude": 0},
        {"latitude": 0, "longitude": 0, "city": ""},
        {"latitude": 0, "longitude": 0, "country": "x"},
    ],
)
def test_an_impossible_location_is_a_problem(accounts: httpx.Client, body: dict[str, Any]) -> None:
    headers = bearer(register(accounts))
    assert accounts.put("/users/me/location", json=body, headers=headers).status_code == 422
    assert accounts.get("/users/me", headers=headers).json()["latitude"] is None


def test_a_new_location_changes_the_recommendations_at_once(accounts: httpx.Client, serve: Serve) -> None:
    add_products(3, ("Candles",))
    postgres.write("UPDATE products SET latitude = :a, longitude = :b WHERE id = 2", a=BERLIN[0], b=BERLIN[1])
    postgres.write("UPDATE products SET latitude = :a, longitude = :b WHERE id = 3", a=MUNICH[0], b=MUNICH[1])
    add_model({1: {2: 0.5, 3: 0.49}})
    tokens = register(accounts)
    headers = bearer(tokens)
    deliver(serve("update_preferences"), tokens["user_id"], event(1))
    shop = serve("recommendations")

    def recommended() -> list[int]:
        body = shop.get("/recommendations?k=2&exclude=1", headers=headers).json()
        return [product["id"] for product in body["recommendations"]]

    def move(place: tuple[float, float]) -> None:
        body = {"latitude": place[0], "longitude": place[1]}
        assert accounts.put("/users/me/location", json=body, headers=headers).status_code == 200

    assert recommended() == recommended() == [2, 3]
    move(MUNICH)
    assert recommended() == recommended() == [3, 2]
    move(BERLIN)
    assert recommended() == [2, 3]
    # the location of the request precedes the stored one
    answer = shop.get(f"/recommendations?k=2&exclude=1&latitude={MUNICH[0]}&longitude={MUNICH[1]}", headers=headers)
    assert [product["id"] for product in answer.json()["recommendations"]] == [3, 2]
    move(MUNICH)
    assert accounts.delete("/users/me/location", headers=headers).status_code == 204
    assert recommended() == [2, 3]


def test_the_decay_distance_is_a_setting() -> None:
    from shared.domain.ranking import Candidate, nearness

    shop = Candidate(1, latitude=MUNICH[0], longitude=MUNICH[1])
    near, far = nearness(shop, BERLIN, 5000), nearness(shop, BERLIN, 5)
    assert far == pytest.approx(0.5)
    assert near > 0.9


def test_preferences_are_shown_as_the_system_sees_them(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    tokens = register(accounts)
    headers = bearer(tokens)
    empty = accounts.get("/users/me/preferences", headers=headers).json()
    assert empty == {"user_id": tokens["user_id"], "categories": [], "brands": [], "tags": [], "price_band": None}
    deliver(serve("update_preferences"), "somebody else", event(5), event(9, "purchase"))
    # products 2 and 4 are in one category, 3 in the other
    deliver(serve("update_preferences"), tokens["user_id"], event(2), event(4), event(3), event(2, "purchase"))
    preferences = accounts.get("/users/me/preferences", headers=headers).json()
    assert [category["name"] for category in preferences["categories"]] == ["Candles", "Bags"]
    assert [round(category["score"], 2) for category in preferences["categories"]] == [7.0, 1.0]
    assert sum(category["share"] for category in preferences["categories"]) == pytest.approx(1)
    # the strongest first, then by name
    assert [tag["key"] for tag in preferences["tags"]] == ["tag2", "tag0", "tag3"]
    assert [brand["key"] for brand in preferences["brands"]] == ["Brand 2", "Brand 0", "Brand 1"]
    # of the logarithms: six of weight at 2, one each at 3 and 4
    logs = [math.log(2)] * 6 + [math.log(3), math.log(4)]
    mean, deviation = statistics.fmean(logs), statistics.pstdev(logs)
    assert preferences["price_band"] == {
        name: pytest.approx(math.exp(mean + sign * deviation), rel=1e-4)
        for name, sign in (("low", -1), ("mean", 0), ("high", 1))
    }


def test_searches_are_recorded_listed_and_cleared(accounts: httpx.Client, serve: Serve) -> None:
    add_products(10)
    products = serve("products")
    tokens = register(accounts)
    headers = bearer(tokens)
    answer = products.get("/products?search=product", headers=headers)
    assert answer.json()["total"] == 10
    assert answer.headers["cache-control"] == "private, no-cache"
    products.get("/products?search=bags", headers=headers)
    products.get("/products?search=PRODUCT", headers=headers)
    # no search; another page of the same search; a search without a user; a stranger's search
    products.get("/products", headers=headers)
    products.get("/products?search=product&page=2", headers=headers)
    assert "public" in products.get("/products?search=nobody").headers["cache-control"]
    products.get("/products?search=stranger&user_id=somebody")
    history = accounts.get("/users/me/search-history?page_size=1", headers=headers).json()
    assert [(search["query"], search["searches"]) for search in history["searches"]] == [("product", 2)]
    assert (history["total"], history["total_pages"]) == (2, 2)
    assert accounts.delete("/users/me/search-history", headers=headers).status_code == 204
    assert accounts.get("/users/me/search-history", headers=headers).json()["searches"] == []
    assert postgres.read("SELECT count(*) FROM search_history")[0][0] == 1


def test_a_search_is_answered_if_it_cannot_be_recorded(
    accounts: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_products(3)
    products = serve("products")
    headers = bearer(register(accounts))
    assert products.get("/products?search=product").status_code == 200
    # Postgres is away for longer than this takes; the answer is in Redis
    monkeypatch.setattr(postgres_engine.breaker, "failed_at", time.monotonic())
    monkeypatch.setattr(postgres_engine, "BREAKER_S", 60)
    assert products.get("/products?search=product", headers=headers).status_code == 200
    monkeypatch.undo()
    assert accounts.get("/users/me/search-history", headers=headers).json()["total"] == 0


@pytest.mark.parametrize("username", ["ada lovelace", "-ada", "ada.", "ada\n", "a da\u00e9", "@da"])
def test_a_username_with_other_characters_is_refused_in_words(accounts: httpx.Client, username: str) -> None:
    body = {"username": username, "email": "ada@example.com", "password": PASSWORD}
    refused = accounts.post("/auth/register", json=body)
    assert refused.status_code == 422
    assert refused.json()["detail"] == (
        "username: must have only letters, digits, `_`, `.` and `-`, with a letter or digit first and last"
    )
    assert accounts.post("/auth/register", json=body | {"username": "\u00e9da_L.2-x"}).status_code == 201
