"""POST /recommendations/batch: the answers of many users at once, for the shop's server."""

from typing import Any

import httpx
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RuleWrite
from shared import api_keys
from shared.clients import postgres
from tests.integration.conftest import Serve, settings_of
from tests.integration.deliveries import deliver, event
from tests.integration.people import ADMIN, bearer, login, register
from tests.integration.shop import add_model

PATH = "/recommendations/batch"


def ask(client: httpx.Client, *user_ids: str, headers: dict[str, str] = ADMIN, **body: Any) -> httpx.Response:
    return client.post(PATH, json={"user_ids": user_ids} | body, headers=headers)


def listed(answer: httpx.Response) -> dict[str, list[int]]:
    """Return the ids of each user's products."""
    assert answer.status_code == 200, answer.text
    return {one["user_id"]: [product["id"] for product in one["recommendations"]] for one in answer.json()["answers"]}


@pytest.fixture
def shop(client: httpx.Client, serve: Serve) -> httpx.Client:
    add_model({1: {2: 0.9, 3: 0.5}, 5: {6: 0.8, 2: 0.3}}, {"serving": {"blend": 1.0}})
    for user, products in (("u1", (1,)), ("u2", (5, 7)), ("buyer", ())):
        for product in products:
            assert deliver(serve("update_preferences"), user, event(product)).status_code == 200
    assert deliver(serve("update_preferences"), "buyer", event(1), event(2, "purchase")).status_code == 200
    return client


@pytest.mark.parametrize("query", [{}, {"repeats": "include"}, {"repeats": "only"}, {"category_id": 1, "k": 3}])
def test_each_user_gets_the_answer_of_a_single_request(shop: httpx.Client, query: dict[str, Any]) -> None:
    users = ["u2", "stranger", "u1", "buyer"]
    answer = ask(shop, *users, **query)
    assert list(listed(answer)) == users
    for user, one in zip(users, answer.json()["answers"], strict=True):
        single = shop.get("/recommendations", params={"user_id": user} | query).json()
        different = {"recommendation_id", "generated_at"}
        assert {key: one[key] for key in one.keys() - different} == {
            key: single[key] for key in single.keys() - different
        }
    assert len({one["recommendation_id"] for one in answer.json()["answers"]}) == len(users)


def test_a_batch_takes_two_statements_and_logs_every_answer(shop: httpx.Client, statements: list[str]) -> None:
    statements.clear()
    answer = ask(shop, "u1", "u2", "buyer", k=2)
    assert len(statements) == 2
    logged = {
        str(row[0]): (row[1], row[2], row[3])
        for row in postgres.read("SELECT id, user_id, strategy, product_ids FROM recommendation_log")
    }
    assert logged == {
        one["recommendation_id"]: (
            one["user_id"],
            "personalized",
            [product["id"] for product in one["recommendations"]],
        )
        for one in answer.json()["answers"]
    }


def test_rules_and_filters_apply_to_every_user(shop: httpx.Client) -> None:
    rules.create_rule("test", RuleWrite(kind="exclude", product_id=2))
    postgres.write("UPDATE products SET is_active = false WHERE id = 6")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 3")
    answers = listed(ask(shop, "u1", "u2", k=20, exclude=[9], in_stock=True))
    for products in answers.values():
        assert not {2, 3, 6, 9} & set(products)
        assert len(products) > 4


def test_only_the_shop_s_server_may_ask_for_many_users(env: dict[str, str], shop: httpx.Client, serve: Serve) -> None:
    assert ask(shop, "u1", headers={}).status_code == 401
    secret, publishable = (api_keys.create(kind)[1] for kind in ("secret", "publishable"))
    assert ask(shop, "u1", headers={"X-API-Key": secret}).status_code == 200
    refused = ask(shop, "u1", headers={"X-API-Key": publishable})
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="aisle admin"')
    # it may ask for accounts too
    assert ask(shop, "acct_00000000000000000000000000000000", headers={"X-API-Key": secret}).status_code == 200


def test_a_member_of_staff_may_ask_while_the_session_lasts(shop: httpx.Client, serve: Serve) -> None:
    accounts = serve("accounts")
    for name in ("boss", "other"):
        register(accounts, name)
    postgres.write("UPDATE users SET role = 'admin' WHERE email IS NOT NULL")
    boss, other = (login(accounts, name).json() for name in ("boss", "other"))
    assert [ask(shop, "u1", headers=bearer(tokens)).status_code for tokens in (boss, other)] == [200, 200]
    accounts.post("/auth/logout", json={"refresh_token": boss["refresh_token"]})
    assert [ask(shop, "u1", headers=bearer(tokens)).status_code for tokens in (boss, other)] == [401, 200]


@pytest.mark.usefixtures("one_window")
def test_a_batch_counts_as_one_request_for_each_user(env: dict[str, str], shop: httpx.Client, serve: Serve) -> None:
    users = [f"u{number}" for number in range(7)]
    with settings_of(env | {"RATE_LIMIT_PER_MINUTE": "10", "TRUSTED_PROXIES": "1"}):
        client = serve("recommendations")
        # two clients, of which one has asked for seven users
        first, second = ({"X-Forwarded-For": f"203.0.113.{number}"} for number in (1, 2))
        assert ask(client, *users, headers=ADMIN | first).status_code == 200
        assert [client.get("/popular", headers=first).status_code for _ in range(4)] == [200, 200, 200, 429]
        assert client.get("/popular", headers=second).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"user_ids": []},
        {"user_ids": ["u"] * 2},
        {"user_ids": [f"u{number}" for number in range(101)]},
        {"user_ids": ["u"], "k": 21},
        {"user_ids": ["u"], "k": 0},
        {"user_ids": ["u"], "repeats": "never"},
        {"user_ids": ["u"], "exclude": [0]},
        {"user_ids": ["u"], "exclude": ["5"]},
        {"user_ids": ["u"], "exclude": [True]},
        {"user_ids": [""]},
        {"user_ids": ["u"], "nope": 1},
        {},
    ],
)
def test_a_bad_batch_is_a_problem(client: httpx.Client, body: dict[str, Any]) -> None:
    answer = client.post(PATH, json=body, headers=ADMIN)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_an_unknown_category_is_a_problem_and_a_hundred_users_are_not(shop: httpx.Client) -> None:
    assert ask(shop, "u1", category_id=99).json()["type"] == "urn:aisle:problem:category-not-found"
    assert len(listed(ask(shop, *(f"u{number}" for number in range(100)), k=20))) == 100
