"""Which of the products that a user knows /recommendations shows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.domain.formula import RECENT_MINUTES
from shared.storage.answers import invalidation
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.shop import add_model, add_products

PRODUCTS = 20


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> httpx.Client:
    add_products(PRODUCTS)
    add_model({1: {2: 0.9, 3: 0.5, 4: 0.4}, 5: {6: 0.8, 2: 0.3}, 2: {1: 0.9}}, {"serving": {"blend": 1.0}})
    return serve("recommendations")


def send(serve: Serve, user: str, *events: dict[str, Any]) -> None:
    assert deliver(serve("update_preferences"), user, *events).status_code == 200


def viewed(product: int, minutes: float) -> dict[str, Any]:
    """Return the view of a product so many minutes before this moment."""
    return event(product, timestamp=(datetime.now(UTC) - timedelta(minutes=minutes)).isoformat())


def ask(client: httpx.Client, user: str = "u1", **query: object) -> list[dict[str, Any]]:
    answer = client.get("/recommendations", params={"user_id": user, "k": 10} | query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    products: list[dict[str, Any]] = answer.json()["recommendations"]
    return products


def ids(client: httpx.Client, user: str = "u1", **query: object) -> list[int]:
    return [product["id"] for product in ask(client, user, **query)]


def test_what_was_bought_or_just_viewed_is_left_out_by_default(client: httpx.Client, serve: Serve) -> None:
    send(
        serve,
        "u1",
        viewed(1, RECENT_MINUTES - 0.5),
        event(2, "purchase", ago=timedelta(days=300)),
        viewed(3, RECENT_MINUTES + 0.01),
    )
    shown = ids(client)
    assert not {1, 2} & set(shown)
    assert shown[:2] == [3, 4]
    # of somebody else, nothing is left out
    send(serve, "u2", event(5))
    assert 2 in ids(client, "u2")


def test_products_in_view_are_left_out(client: httpx.Client) -> None:
    shown = ids(client, "visitor", product_id=1, recent="2,5", k=17)
    assert len(shown) == 17
    assert not {1, 2, 5} & set(shown)
    # the one being looked at does not return, whatever is missing
    assert set(ids(client, "visitor", product_id=1, recent="2,5", k=100)) == set(range(2, PRODUCTS + 1))
    assert 1 not in ids(client, "visitor", product_id=1, recent="1", k=100, repeats="only")


def test_known_products_rank_beside_new_ones_if_requested(client: httpx.Client, serve: Serve) -> None:
    send(serve, "u1", event(1), event(2, "purchase"))
    assert ids(client, repeats="include", k=2) == [1, 2]
    assert ids(client, k=2) == [3, 4]


def test_only_known_products_are_returned_if_requested(client: httpx.Client, serve: Serve) -> None:
    send(serve, "u1", event(7, "purchase", ago=timedelta(days=90)), event(9, ago=timedelta(days=2)), event(11))
    products = ask(client, repeats="only", explain=True)
    assert [product["id"] for product in products] == [11, 9, 7]
    assert [product["reason"]["text"] for product in products] == [
        "You viewed this before",
        "You viewed this before",
        "You bought this before",
    ]
    # the model ranks first what it suggests
    send(serve, "u1", event(1, ago=timedelta(days=50)), event(2, ago=timedelta(days=60)))
    assert ids(client, repeats="only") == [1, 2, 11, 9, 7]
    assert ids(client, repeats="only", k=1, exclude="1") == [2]
    assert ids(client, "stranger", repeats="only") == []


def test_a_formula_of_its_own_serves_each_kind_of_repeats(client: httpx.Client, serve: Serve) -> None:
    send(serve, "u1", event(1, ago=timedelta(hours=2)), event(5, ago=timedelta(hours=1)))
    neighbours = {1: {2: 0.9}, 5: {6: 0.8}}
    formula = {"blend": 1.0}
    add_model(
        neighbours,
        {
            "serving": formula,
            "serving_include": formula | {"repeat_weight": 2.0},
            "serving_only": formula | {"repeat_weight": 2.0, "rank_decay": 0.5},
        },
    )
    invalidation.flush("recommendations")
    assert ids(client, k=2) == [2, 6]
    assert ids(client, k=2, repeats="include") == [1, 5]
    assert ids(client, k=2, repeats="only") == [5, 1]
    # of a version of an earlier release, only what may return is set
    add_model(neighbours, {"serving": formula | {"repeat_weight": 2.0, "returning": "all"}})
    invalidation.flush("recommendations")
    send(serve, "u2", event(1, "purchase", ago=timedelta(hours=2)))
    assert ids(client, "u2", k=2, repeats="include")[:2] == [1, 2]
    assert 1 not in ids(client, "u2", k=10)


def test_the_policy_seen_leaves_out_everything_met(client: httpx.Client, serve: Serve) -> None:
    send(serve, "u1", event(1, ago=timedelta(days=9)), event(5, ago=timedelta(days=8)))
    assert 5 in ids(client, k=18)
    add_model({1: {2: 0.9}}, {"serving": {"returning": "unseen"}})
    invalidation.flush("recommendations")
    assert not {1, 5} & set(ids(client, k=18))


def test_a_short_answer_is_filled_with_what_was_viewed_and_then_bought(client: httpx.Client, serve: Serve) -> None:
    bought = [event(product, "purchase", ago=timedelta(days=product)) for product in range(1, 16)]
    send(serve, "u1", *bought, viewed(17, 2), viewed(16, 1))
    # three others are left: 18, 19 and 20
    assert set(ids(client, k=3)) == {18, 19, 20}
    assert ids(client, k=5)[3:] == [17, 16]
    products = ask(client, k=7, explain=True)
    assert [product["id"] for product in products][3:] == [17, 16, 15, 14]
    assert [product["reason"]["kind"] for product in products][3:] == ["again"] * 4
    assert products[4]["reason"]["text"] == "You viewed this before"
    assert products[5]["reason"]["text"] == "You bought this before"
    # what the request or a rule excludes, what is inactive and what is sold out with in_stock never returns
    postgres.write("UPDATE products SET is_active = false WHERE id = 14")
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 13")
    postgres.write("INSERT INTO rules (kind, product_id) VALUES ('exclude', 12)")
    invalidation.flush("recommendations")
    assert ids(client, k=20, exclude="15,16", in_stock=True)[3:] == [17, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
    # somebody who bought nothing is not shown fewer
    assert len(ids(client, "u2", k=20)) == 18


def test_who_bought_every_product_still_gets_an_answer(client: httpx.Client, serve: Serve) -> None:
    send(serve, "bot", *(event(product, "purchase", ago=timedelta(days=product)) for product in range(1, PRODUCTS + 1)))
    products = ask(client, "bot", explain=True)
    assert [product["id"] for product in products] == list(range(PRODUCTS, PRODUCTS - 10, -1))
    assert {product["reason"]["kind"] for product in products} == {"again"}
    # of one category, only its own
    in_category = ids(client, "bot", category_id=1)
    assert in_category == [product for product in range(PRODUCTS, 0, -1) if product % 2 == 0]


def test_variety_does_not_put_a_known_product_before_new_ones(client: httpx.Client, serve: Serve) -> None:
    send(serve, "u1", *(event(product, "purchase", ago=timedelta(days=1)) for product in range(1, 17)))
    assert set(ids(client, k=6, diversity=1)[:4]) == {17, 18, 19, 20}


def test_an_unknown_kind_of_repeats_is_a_problem(client: httpx.Client) -> None:
    answer = client.get("/recommendations?user_id=u1&repeats=never")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "repeats")


@pytest.mark.parametrize("repeats", ["exclude", "include", "only"])
def test_every_kind_takes_two_statements(
    client: httpx.Client, serve: Serve, monkeypatch: pytest.MonkeyPatch, repeats: str
) -> None:
    send(serve, "u1", *(event(product, "purchase") for product in range(1, PRODUCTS + 1)))
    statements: list[str] = []
    original = postgres.run_prepared

    def counting(sql: str, **parameters: Any) -> Any:
        statements.append(sql)
        return original(sql, **parameters)

    monkeypatch.setattr(postgres, "run_prepared", counting)
    assert ids(client, repeats=repeats)
    assert len(statements) == 2
