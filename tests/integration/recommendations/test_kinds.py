"""Bought together, buy again, content neighbours: from events and products to the answers."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import httpx
import pytest

from functions.admin import rules
from functions.admin.schemas import RuleWrite
from shared.clients import postgres
from shared.clients.postgres import transaction
from shared.domain.replenishment import score
from shared.storage.recommending import similar_products
from tests.integration.jobs.shop import Did, events
from tests.integration.shop import add_model, add_products, push

Serve = Callable[[str], httpx.Client]
DAY = 24.0


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(12)
    return serve("recommendations")


def bought(*done: Did) -> None:
    """Store purchases as the event functions would."""
    events(done)
    postgres.write(
        """INSERT INTO user_purchases
           SELECT user_id, product_id, count(*), min(occurred_at), max(occurred_at)
           FROM events WHERE event_type = 'purchase' GROUP BY 1, 2"""
    )


def run_job(serve: Serve, **parameters: Any) -> dict[str, Any]:
    answer = serve("bought_together").post("/", json=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def orders(*baskets: tuple[int, ...]) -> None:
    """Store orders, each of a user of its own."""
    bought(*(Did(f"o{n}", product, "purchase", 30 * DAY) for n, basket in enumerate(baskets) for product in basket))


def together(client: httpx.Client, product_id: object, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/frequently-bought-together", params={"product_id": product_id} | query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["products"]
    return found


def test_what_was_in_the_same_orders_goes_together(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2)] * 3, (1, 3), (4,), (5,), (1,))
    result = run_job(serve)
    assert (result["baskets"], result["products"], result["pairs"], result["baskets_too_large"]) == (7, 2, 2, 0)
    (found,) = together(client, 1)
    assert (found["id"], found["count"], found["rank"]) == (2, 3, 1)
    assert found["confidence"] == pytest.approx(3 / 5, abs=1e-4)
    assert found["lift"] == pytest.approx(3 * 7 / (5 * 3), abs=1e-4)
    assert together(client, 4) == []


def test_several_products_are_combined_and_never_returned(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2, 3)] * 3, *[(1, 4)] * 3, *[(5,)] * 20)
    run_job(serve)
    answer = client.get("/frequently-bought-together", params={"product_id": "1,2"}).json()
    assert answer["product_id"] == [1, 2]
    assert [one["id"] for one in answer["products"]] == [3, 4]
    alone = {one["id"]: one["score"] for one in together(client, 2)}
    assert answer["products"][0]["score"] > alone[3] - 1e-9


def test_a_session_is_a_basket_and_so_is_an_hour_without_one(client: httpx.Client, serve: Serve) -> None:
    bought(
        *(
            Did(f"u{n}", product, "purchase", 10 * DAY + hours)
            for n in range(3)
            for product, hours in ((1, 0), (2, 5), (3, 0))
        ),
        Did("x", 9, "purchase"),
    )
    assert run_job(serve)["baskets"] == 7
    assert [one["id"] for one in together(client, 1)] == [3]
    postgres.write("UPDATE events SET session_id = 'one'")
    assert run_job(serve)["baskets"] == 4
    assert {one["id"] for one in together(client, 1)} == {2, 3}


def test_giant_baskets_are_left_out_and_counted(client: httpx.Client, serve: Serve) -> None:
    orders(*[tuple(range(1, 11))] * 5, *[(1, 2)] * 3, (3,))
    result = run_job(serve, max_basket=9)
    assert (result["baskets"], result["baskets_too_large"]) == (4, 5)
    assert [one["id"] for one in together(client, 1)] == [2]


def test_a_run_replaces_what_was_there_and_an_empty_shop_has_nothing(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2)] * 3, (3,))
    run_job(serve)
    assert len(together(client, 1)) == 1
    postgres.write("TRUNCATE events, user_purchases")
    result = run_job(serve)
    assert (result["baskets"], result["pairs"], result["intervals"]) == (0, 0, 0)
    assert together(client, 1) == []


def test_products_that_are_gone_or_excluded_are_not_shown(client: httpx.Client, serve: Serve) -> None:
    orders(*[(1, 2, 3, 4)] * 3, *[(5,)] * 5)
    run_job(serve)
    postgres.write("UPDATE products SET is_active = false WHERE id = 2")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 3")
    assert {one["id"] for one in together(client, 1)} == {3, 4}
    assert {one["id"] for one in together(client, 1, in_stock=True)} == {4}
    rules.create_rule("test", RuleWrite(kind="exclude", product_id=4))
    assert {one["id"] for one in together(client, 1)} == {3}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("product_id=", 422),
        ("product_id=x", 422),
        ("product_id=0", 422),
        ("product_id=1,,2", 422),
        ("product_id=1&k=0", 422),
        ("product_id=1&k=101", 422),
        ("product_id=1&nope=1", 422),
        ("product_id=99", 404),
        ("product_id=1,99", 404),
        ("product_id=" + ",".join(["1"] * 21), 422),
        ("product_id=9999999999999999999", 422),
    ],
)
def test_a_bad_question_of_what_goes_together_is_a_problem(client: httpx.Client, query: str, status: int) -> None:
    answer = client.get(f"/frequently-bought-together?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


# buy again


def again(client: httpx.Client, user: str, **query: Any) -> list[dict[str, Any]]:
    answer = client.get("/buy-again", params={"user_id": user} | query)
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"user_id", "products", "recommendation_id", "generated_at"}
    found: list[dict[str, Any]] = answer.json()["products"]
    return found


def every(days: float, user: str, product: int, times: int, *, last: float) -> list[Did]:
    """Return purchases of a product at an interval, the latest ``last`` days ago."""
    return [Did(user, product, "purchase", DAY * (last + n * days)) for n in range(times)]


def test_a_users_own_interval_says_what_is_due(client: httpx.Client, serve: Serve) -> None:
    bought(*every(10, "u", 1, 4, last=12), *every(60, "u", 2, 4, last=12))
    run_job(serve)
    first, second = again(client, "u")
    assert (first["id"], first["due"], first["purchase_count"]) == (1, True, 4)
    assert (second["id"], second["due"]) == (2, False)
    last, due = (datetime.fromisoformat(first[name]) for name in ("last_purchased_at", "due_at"))
    assert (due - last).days == 10
    assert first["score"] > second["score"]


def test_one_purchase_takes_the_products_interval_or_the_shops(client: httpx.Client, serve: Serve) -> None:
    others = [one for n in range(5) for one in every(20, f"o{n}", 1, 3, last=40)]
    bought(*others, Did("u", 1, "purchase", 30 * DAY), Did("u", 2, "purchase", 30 * DAY))
    run_job(serve)
    found = {one["id"]: one for one in again(client, "u")}
    assert found[1]["due"]
    # product 2 was bought once in all: the shop's interval, and hardly anybody bought it again
    assert found[2]["due"]
    assert found[1]["score"] > found[2]["score"]
    (row,) = postgres.read("SELECT median_days, gaps, repeat_share FROM product_intervals WHERE product_id = 1")
    assert (row[0], row[1]) == (20, 10)
    assert found[1]["score"] == pytest.approx(score(row[2], 1, 30, 20), abs=1e-3)


def test_before_any_job_an_interval_is_assumed(client: httpx.Client) -> None:
    bought(Did("u", 1, "purchase", 10 * DAY), Did("u", 2, "purchase", 40 * DAY))
    assert [(one["id"], one["due"]) for one in again(client, "u")] == [(2, True), (1, False)]


def test_only_what_is_for_sale_is_bought_again(client: httpx.Client) -> None:
    bought(*(Did("u", product, "purchase", 30 * DAY) for product in (1, 2, 3)), Did("u", 4, "view"))
    postgres.write("UPDATE products SET is_active = false WHERE id = 1")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 2")
    assert [one["id"] for one in again(client, "u")] == [2, 3]
    assert [one["id"] for one in again(client, "u", in_stock=True)] == [3]
    assert [one["id"] for one in again(client, "u", k=1)] == [2]
    assert again(client, "nobody") == []


@pytest.mark.parametrize("query", ["user_id=", "user_id=u&k=0", "user_id=u&nope=1", "user_id=%00"])
def test_a_bad_question_of_what_to_buy_again_is_a_problem(client: httpx.Client, query: str) -> None:
    assert client.get(f"/buy-again?{query}").status_code == 422


# content neighbours


def similar(client: httpx.Client, product_id: int, k: int = 3) -> list[tuple[int, float]]:
    answer = client.get("/similar-products", params={"product_id": product_id, "k": k})
    assert answer.status_code == 200, answer.text
    return [(one["id"], one["score"]) for one in answer.json()["similar_products"]]


def add(name: str, description: str = "") -> int:
    rows = postgres.write(
        "INSERT INTO products (name, description, price, quantity) VALUES (:name, :text, 1, 1) RETURNING id",
        name=name,
        text=description,
    )
    return int(rows[0][0])


def test_a_product_added_a_moment_ago_has_neighbours(client: httpx.Client) -> None:
    lantern, chair = add("Red metal lantern"), add("Wooden garden chair")
    new = add("Blue metal lantern")
    found = similar(client, new)
    assert found[0][0] == lantern
    assert found[0][1] > 0.4
    assert chair not in [product for product, _ in found if _ > 0.3]


def test_a_changed_description_changes_the_neighbours(client: httpx.Client, serve: Serve) -> None:
    add("Red metal lantern")
    chair, thing = add("Wooden garden chair"), add("Red metal thing")
    postgres.write("UPDATE products SET name = 'Wooden garden bench' WHERE id = :id", id=thing)
    with transaction() as connection:
        assert similar_products.refresh(connection, [thing]) == 1
    assert similar(client, thing)[0][0] == chair


def test_refresh_catalog_brings_content_up_to_date(env: object, serve: Serve) -> None:
    (thing,) = (add("Red metal thing"),)
    postgres.write("UPDATE products SET is_active = false WHERE id = :id", id=thing)
    answer = push(serve("refresh_catalog"), b'{"product_ids": [%d]}' % thing, {"schema": "catalog-changes/1"})
    assert answer.status_code == 200
    assert postgres.read("SELECT 1 FROM product_content") == []


def test_what_people_do_outweighs_what_words_say(client: httpx.Client) -> None:
    # product 1 and 3 are alike in words, product 1 and 2 in what people do; two users are not much evidence
    add_model({1: {2: 0.9}})
    postgres.write("UPDATE item_similarity SET co_occurrence = '{2}'")
    few = dict(similar(client, 1, k=12))
    postgres.write("UPDATE item_similarity SET co_occurrence = '{500}'")
    rules.drop_answers()
    many = dict(similar(client, 1, k=12))
    assert few[2] == many[2] == 0.9
    assert few[3] > 10 * many[3] > 0
    assert 1 not in many


def test_words_of_all_products_are_counted_anew_by_the_job(client: httpx.Client, serve: Serve) -> None:
    add("Zinc bucket")
    postgres.write("UPDATE content_words SET products = 1")
    assert run_job(serve)["embeddings_changed"] > 0
    counted = dict(tuple(row) for row in postgres.read("SELECT word, products FROM content_words"))
    assert (counted["product"], counted["zinc"]) == (12, 1)
    assert run_job(serve)["embeddings_changed"] == 0
