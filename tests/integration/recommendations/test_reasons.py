"""Why a product is in an answer, in the answers of every kind that explains itself."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.answers import invalidation
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.recommendations.purchases import run_job, store_purchases
from tests.integration.shop import StoredEvent, add_model, embed_products


def reasons(client: httpx.Client, path: str, **query: object) -> dict[int, tuple[str, int | None, str]]:
    """Return kind, product and text of each product's reason."""
    answer = client.get(path, params={"k": 20, "explain": True} | query)  # type: ignore[arg-type]  # numbers are sent as text
    assert answer.status_code == 200, answer.text
    # the ids of a request of several products are a list too
    *_, products = (value for value in answer.json().values() if isinstance(value, list))
    return {
        product["id"]: (product["reason"]["kind"], product["reason"]["product_id"], product["reason"]["text"])
        for product in products
    }


def add(name: str) -> int:
    rows = postgres.write("INSERT INTO products (name, price, quantity) VALUES (:name, 1, 1) RETURNING id", name=name)
    embed_products()
    return int(rows[0][0])


def publish(algorithm: str, product: int = 1, neighbour: int = 2) -> None:
    version = add_model({product: {neighbour: 0.9}}, {"serving": {"blend": 1.0}})
    postgres.write(
        "UPDATE models SET algorithm = :algorithm WHERE version = :version", algorithm=algorithm, version=version
    )
    invalidation.flush()


def test_what_others_went_on_to_is_not_called_similar(client: httpx.Client, serve: Serve) -> None:
    assert deliver(serve("update_preferences"), "u1", event(1)).status_code == 200
    for algorithm, kind, text in (
        ("transitions", "next", "Chosen with or after Product 1"),
        ("cosine", "similar", "Because you viewed Product 1"),
    ):
        publish(algorithm)
        assert reasons(client, "/recommendations", user_id="u1")[2] == (kind, 1, text)
        assert client.get("/recommendations?user_id=u1").json()["algorithm"] == algorithm


def test_reasons_say_what_the_user_did(client: httpx.Client, serve: Serve) -> None:
    serve_preferences = serve("update_preferences")
    assert deliver(serve_preferences, "u1", event(1, "add_to_cart")).status_code == 200
    assert deliver(serve_preferences, "u2", event(1, "wishlist")).status_code == 200
    publish("cosine")
    for user, because, before in (
        ("u1", "Because you had Product 1 in your cart", "You had this in your cart before"),
        ("u2", "Because you put Product 1 on your wishlist", "You put this on your wishlist before"),
    ):
        found = reasons(client, "/recommendations", user_id=user, repeats="include")
        assert (found[1], found[2]) == (("again", 1, before), ("similar", 1, because))


def test_similar_products_say_whether_people_or_descriptions_suggest_them(client: httpx.Client) -> None:
    red, chair, blue, table = (add(name) for name in ("Red metal lantern", "Chair", "Blue metal lantern", "Table"))
    postgres.write("UPDATE products SET category_id = 1 WHERE id = ANY (:ids)", ids=[red, table])
    postgres.write(
        """INSERT INTO trending_scores (time_window, product_id, score, event_count, category_id)
           SELECT '30d', id, 5, 5, category_id FROM products WHERE id = :id""",
        id=table,
    )
    publish("cosine", red, chair)
    found = reasons(client, "/similar-products", product_id=red)
    assert found[chair] == ("similar", red, "Others who liked Red metal lantern liked this too")
    assert found[blue] == ("similar", red, "Similar to Red metal lantern")
    assert found[table] == ("trending", None, "Trending in Candles")
    publish("transitions", red, chair)
    others_reason = reasons(client, "/similar-products", product_id=red)[chair]
    assert others_reason == ("next", red, "Chosen with or after Red metal lantern")
    # without explain, answers are as before
    plain = client.get("/similar-products", params={"product_id": red}).json()["similar_products"]
    assert not any("reason" in product for product in plain)


def test_similar_products_of_one_kind_have_no_others(client: httpx.Client) -> None:
    red, chair, blue = (add(name) for name in ("Red metal lantern", "Chair", "Blue metal lantern"))
    publish("cosine", red, chair)

    def similar(**query: Any) -> list[tuple[int, float]]:
        answer = client.get("/similar-products", params={"product_id": red, "k": 20} | query)
        assert answer.status_code == 200, answer.text
        return [(product["id"], product["score"]) for product in answer.json()["similar_products"]]

    assert similar(kind="collaborative") == [(chair, 0.9)]
    content = dict(similar(kind="content"))
    assert chair not in content
    # descriptions weigh in full where nothing else counts: two users know the lantern
    assert content[blue] > dict(similar(kind="hybrid"))[blue] > 0
    assert similar() == similar(kind="hybrid")
    assert similar(kind="collaborative", user_id="u1") == [(chair, 0.9)]
    refused = client.get("/similar-products", params={"product_id": red, "kind": "magic"})
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "kind")


@pytest.mark.parametrize("query", [{}, {"user_id": "u1"}])
def test_products_bought_together_name_the_product_they_go_with(
    client: httpx.Client, serve: Serve, query: dict[str, str]
) -> None:
    baskets = [(1, 2)] * 3 + [(5, 6)] * 4 + [(9,)] * 5
    store_purchases(
        *(StoredEvent(f"o{n}", product, "purchase", 99.0) for n, basket in enumerate(baskets) for product in basket)
    )
    run_job(serve)
    found = reasons(client, "/frequently-bought-together", product_id="1,5", **query)
    assert found == {
        2: ("together", 1, "Often bought with Product 1"),
        6: ("together", 5, "Often bought with Product 5"),
    }
    plain = client.get("/frequently-bought-together", params={"product_id": "1,5"} | query).json()["products"]
    assert [sorted(product.keys() & {"reason", "lift"}) for product in plain] == [["lift"]] * 2


def test_products_to_buy_again_say_how_often_they_were_bought(client: httpx.Client, serve: Serve) -> None:
    store_purchases(
        StoredEvent("u1", 1, "purchase", 900.0),
        StoredEvent("u1", 1, "purchase", 500.0),
        StoredEvent("u1", 2, "purchase", 900.0),
        StoredEvent("u2", 3, "purchase", 900.0),
    )
    run_job(serve)
    assert reasons(client, "/buy-again", user_id="u1") == {
        1: ("again", 1, "You bought this 2 times"),
        2: ("again", 2, "You bought this before"),
    }
    assert "reason" not in client.get("/buy-again?user_id=u1").json()["products"][0]


def test_products_bought_at_regular_intervals_say_so(client: httpx.Client, serve: Serve) -> None:
    def bought(product: int, *days_ago: float) -> list[StoredEvent]:
        # half an hour more: the whole days do not depend on the moment of the request
        return [StoredEvent("u1", product, "purchase", 24 * days + 0.5) for days in days_ago]

    store_purchases(
        *bought(1, 11, 23, 35, 47),
        # every day, and a day ago
        *bought(2, 1, 2, 3),
        # irregular gaps of 2 and 60 days
        *bought(3, 5, 7, 67),
        # regular once, and long overdue: at most twice the interval
        *bought(4, 21, 31, 41),
        *bought(5, 20, 30, 40),
        # bought today
        *bought(6, 0, 7, 14),
        StoredEvent("u2", 1, "purchase", 900.0),
    )
    run_job(serve)
    texts = {product: text for product, (_, _, text) in reasons(client, "/buy-again", user_id="u1").items()}
    assert texts == {
        1: "You usually buy this every 12 days, last 11 days ago",
        2: "You usually buy this every day, last 1 day ago",
        3: "You bought this 3 times",
        4: "You bought this 3 times",
        5: "You usually buy this every 10 days, last 20 days ago",
        6: "You bought this 3 times",
    }
    # another user's purchases of the same product are not this user's habit
    assert reasons(client, "/buy-again", user_id="u2") == {1: ("again", 1, "You bought this before")}


@pytest.mark.parametrize(
    ("users", "followed", "liked"),
    [
        (1, "Chosen with or after Product 1", "Somebody who liked Product 1 liked this too"),
        (2, "Chosen with or after Product 1", "Others who liked Product 1 liked this too"),
        (3, "Often chosen with or after Product 1", "Others who liked Product 1 liked this too"),
    ],
)
def test_reasons_claim_no_more_users_than_there_are(
    client: httpx.Client, serve: Serve, users: int, followed: str, liked: str
) -> None:
    # descriptions say nothing
    postgres.write("DELETE FROM product_content")
    assert deliver(serve("update_preferences"), "u1", event(1)).status_code == 200
    for algorithm, similar, personal in (
        ("transitions", followed, followed),
        ("cosine", liked, "Because you viewed Product 1"),
    ):
        publish(algorithm)
        postgres.write(
            """UPDATE item_similarity SET co_occurrence = ARRAY[cast(:users AS integer)]
               WHERE product_id = 1 AND version = (SELECT version FROM models WHERE active)""",
            users=users,
        )
        invalidation.flush()
        assert reasons(client, "/similar-products", product_id=1)[2][2] == similar
        assert reasons(client, "/recommendations", user_id="u1")[2][2] == personal
