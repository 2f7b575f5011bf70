"""A shop names products by its own ids wherever it may name them by ours, and no id is taken for the other kind."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Messages, Serve
from tests.integration.deliveries import deliver, event, push
from tests.integration.people import ADMIN, as_admin
from tests.integration.shop import StoredEvent, add_events, add_model, add_products

# product 7 has the id of product 1 as text: the bystander that nothing here may touch
IDS = {1: "A/1 b", 2: "x" * 255, 3: "é", 4: "한글 #4", 5: "a,b", 6: "&=+%", 7: "1", 8: "H", 9: "9", 10: "SKU10"}
DECOMPOSED = "e\u0301"


@pytest.fixture
def shop(env: dict[str, str]) -> None:
    """Twelve products, of which ten have ids such as shops have."""
    add_products(12)
    for product_id, external_id in IDS.items():
        postgres.write(
            "UPDATE products SET external_id = :external_id WHERE id = :id", id=product_id, external_id=external_id
        )


@pytest.fixture
def recommending(shop: None, serve: Serve) -> httpx.Client:
    add_model({n: {m: 1 / (1 + abs(n - m)) for m in range(1, 13) if m != n} for n in range(1, 13)})
    return serve("recommendations")


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["errors"][0]["field"] if answer.json().get("errors") else ""


def listed(answer: httpx.Response, key: str = "recommendations") -> list[int]:
    assert answer.status_code == 200, answer.text
    return [product["id"] for product in answer.json()[key]]


@pytest.mark.parametrize("product_id", IDS)
def test_each_id_finds_its_product_alone(shop: None, serve: Serve, product_id: int) -> None:
    answer = serve("products").get("/products", params={"external_id": IDS[product_id]})
    assert listed(answer, "products") == [product_id]
    assert answer.json()["total"] == 1


def test_products_are_listed_by_several_ids_in_any_unicode_form(shop: None, serve: Serve) -> None:
    client = serve("products")
    ids = [DECOMPOSED, "a,b", "1", "unknown", "1"]
    answer = client.get("/products", params={"external_id": ids, "sort": "price_asc"})
    assert listed(answer, "products") == [3, 5, 7]
    assert problem(client.get("/products", params={"external_id": ""})) == (422, "external_id.0")
    assert problem(client.get("/products", params={"external_id": "x" * 256})) == (422, "external_id.0")


def test_a_product_is_changed_and_removed_by_its_id(shop: None, serve: Serve) -> None:
    client = as_admin(serve("products"))
    answer = client.patch("/products", params={"external_id": "1"}, json={"price": 70})
    assert (answer.json()["id"], answer.json()["price"]) == (7, 70)
    assert client.get("/products/1").json()["price"] == 1
    assert client.delete("/products", params={"external_id": "A/1 b"}).status_code == 204
    assert [client.get(f"/products/{n}").status_code for n in (1, 7)] == [404, 200]
    assert client.patch("/products", params={"external_id": "unknown"}, json={"price": 1}).status_code == 404
    assert client.delete("/products", params={"external_id": "unknown"}).status_code == 404
    assert client.delete("/products", headers={"Authorization": "Bearer none"}).status_code == 403


@pytest.mark.parametrize(
    ("by_external_id", "by_id"),
    [
        ({"external_id": "A/1 b"}, {"product_id": 1}),
        ({"external_id": "1"}, {"product_id": 7}),
        ({"external_id": DECOMPOSED}, {"product_id": 3}),
        ({"external_id": "a,b", "product_id": 5}, {"product_id": 5}),
        ({"exclude_external": ["a,b", "1"]}, {"exclude": "5,7"}),
        ({"exclude_external": ["a,b", "unknown"], "exclude": "7"}, {"exclude": "7,5"}),
        ({"recent_external": ["H", "A/1 b"]}, {"recent": "8,1"}),
        ({"recent": "8", "recent_external": ["A/1 b", "H"]}, {"recent": "8,1"}),
    ],
)
def test_recommendations_are_the_same_by_either_id_in_two_statements(
    recommending: httpx.Client, monkeypatch: pytest.MonkeyPatch, by_external_id: Any, by_id: Any
) -> None:
    add_events([StoredEvent("u1", 2)])
    expected = listed(recommending.get("/recommendations", params={"user_id": "u1", "k": 4, **by_id}))
    sent: list[str] = []
    run = postgres.run_prepared

    def run_and_note(sql: str, **parameters: Any) -> Any:
        sent.append(sql)
        return run(sql, **parameters)

    monkeypatch.setattr(postgres, "run_prepared", run_and_note)
    query = {"user_id": "u1", "k": 4, **by_external_id}
    assert listed(recommending.get("/recommendations", params=query)) == expected
    assert len(sent) == 2
    # and the stored answer needs none
    assert listed(recommending.get("/recommendations", params=query)) == expected
    assert len(sent) == 2


@pytest.mark.parametrize("path", ["/recommendations", "/similar-products", "/frequently-bought-together"])
@pytest.mark.parametrize("pair", [(1, "1"), (1, "unknown"), (99, "1")])
def test_two_ids_that_are_not_one_product_s_are_refused(
    recommending: httpx.Client, path: str, pair: tuple[int, str]
) -> None:
    query = {"user_id": "u1", "product_id": pair[0], "external_id": pair[1]}
    assert problem(recommending.get(path, params=query)) == (422, "external_id")
    assert recommending.get(path, params=query | {"product_id": 7, "external_id": "1"}).status_code == 200


def test_similar_and_bought_together_take_and_show_both_ids(recommending: httpx.Client) -> None:
    postgres.write(
        """INSERT INTO bought_together (product_id, others, scores, lifts, confidences, counts)
           VALUES (1, '{2}', '{0.9}', '{2}', '{0.9}', '{3}'), (7, '{8}', '{0.9}', '{2}', '{0.9}', '{3}')"""
    )
    for name, path, key in (
        ("similar", "/similar-products", "similar_products"),
        ("together", "/frequently-bought-together", "products"),
    ):
        first = recommending.get(path, params={"external_id": "A/1 b", "k": 2})
        other = recommending.get(path, params={"external_id": "1", "k": 2})
        assert listed(first, key) == listed(recommending.get(path, params={"product_id": 1, "k": 2}), key), name
        assert listed(other, key) == listed(recommending.get(path, params={"product_id": 7, "k": 2}), key), name
        assert listed(first, key) != listed(other, key), name
        assert (first.json()["product_id"], first.json()["external_id"]) == (1, "A/1 b")
        assert recommending.get(path, params={"external_id": "unknown"}).status_code == 404
        assert recommending.get(path).status_code == 422
    several = recommending.get("/frequently-bought-together", params={"external_id": ["A/1 b", "1"]})
    assert sorted(listed(several, "products")) == [2, 8]
    assert (several.json()["product_id"], several.json()["external_id"]) == ([1, 7], ["A/1 b", "1"])
    mixed = {"product_id": "1,2", "external_id": "1"}
    assert recommending.get("/frequently-bought-together", params=mixed).status_code == 422


def test_a_batch_excludes_by_either_id(recommending: httpx.Client) -> None:
    def answer(**more: Any) -> list[int]:
        body = {"user_ids": ["u1"], "k": 12, **more}
        answers = recommending.post("/recommendations/batch", json=body, headers=ADMIN).json()["answers"]
        return [product["id"] for product in answers[0]["recommendations"]]

    assert set(answer()) - set(answer(exclude_external=["1", "a,b"], exclude=[9])) == {7, 5, 9}


def test_feedback_names_a_product_by_either_id(recommending: httpx.Client) -> None:
    answer = recommending.get("/recommendations", params={"user_id": "u1", "k": 12}).json()
    assert {product["id"]: product["external_id"] for product in answer["recommendations"]}[7] == "1"
    feedback = {"recommendation_id": answer["recommendation_id"], "action": "click"}

    def send(**product: Any) -> int:
        return recommending.post("/recommendations/feedback", json=feedback | product).status_code

    assert send(external_id="1") == 202
    assert postgres.read("SELECT product_id FROM recommendation_feedback")[0][0] == 7
    assert send(external_id="1", product_id=1) == 422
    assert send(external_id="unknown") == 404
    assert send() == 422


def test_carts_and_wishlists_by_either_id(shop: None, serve: Serve) -> None:
    client = serve("cart")

    def ask(method: str, path: str, user: str = "ann", **options: Any) -> httpx.Response:
        params = {"user_id": user} | options.pop("params", {})
        return client.request(method, path, params=params, **options)

    def cart(user: str = "ann") -> dict[int, int]:
        return {item["product"]["id"]: item["quantity"] for item in ask("GET", "/cart", user).json()["items"]}

    assert ask("POST", "/cart/items", "bob", json={"product_id": 7}).status_code == 201
    assert ask("POST", "/cart/items", json={"product_id": 1, "quantity": 1}).status_code == 201
    assert ask("POST", "/cart/items", json={"external_id": "1", "quantity": 2}).status_code == 201
    assert ask("POST", "/cart/items", json={"external_id": "A/1 b", "product_id": 1}).status_code == 200
    assert cart() == {1: 2, 7: 2}
    assert ask("POST", "/cart/items", json={"external_id": "1", "product_id": 1}).status_code == 422
    assert ask("POST", "/cart/items", json={"external_id": "unknown"}).status_code == 404
    assert ask("POST", "/cart/items", json={"quantity": 1}).status_code == 422
    for product in ({"external_id": "A/1 b"}, {"external_id": "1"}):
        assert ask("PATCH", "/cart/items", params=product, json={"quantity": 3}).status_code == 200
    assert cart() == {1: 3, 7: 3}
    assert ask("DELETE", "/cart/items", params={"external_id": "1"}).status_code == 200
    assert ask("DELETE", "/cart/items", params={"external_id": "unknown"}).status_code == 200
    assert ask("DELETE", "/cart/items").status_code == 422
    assert (cart(), cart("bob")) == ({1: 3}, {7: 1})
    shortage = ask("POST", "/cart/items", json={"external_id": "1", "quantity": 900}).json()["lines"][0]
    assert (shortage["product_id"], shortage["external_id"]) == (7, "1")

    assert ask("PUT", "/wishlist/1").status_code == 201
    assert ask("PUT", "/wishlist", params={"external_id": "1"}).status_code == 201
    assert ask("PUT", "/wishlist", params={"external_id": "1"}).status_code == 200
    assert ask("PUT", "/wishlist", params={"external_id": "unknown"}).status_code == 404
    for external_id in ("1", "unknown"):
        assert ask("DELETE", "/wishlist", params={"external_id": external_id}).status_code == 204
    assert [item["product"]["id"] for item in ask("GET", "/wishlist").json()["items"]] == [1]


def test_events_are_accepted_with_either_id(shop: None, serve: Serve, messages: Messages) -> None:
    take = messages("user-events")
    client = serve("events")
    for body in ({"external_id": DECOMPOSED}, {"external_id": "1", "product_id": 7}):
        assert client.post("/events", json={"user_id": "u1", "event_type": "view", **body}).status_code == 202
    assert client.post("/events", json={"user_id": "u1", "event_type": "view"}).status_code == 422
    assert client.post("/events", json={"user_id": "u1", "event_type": "view", "external_id": ""}).status_code == 422
    consumer = serve("update_preferences")
    for message in take(2):
        assert push(consumer, message.data, dict(message.attributes)).status_code == 200
    assert sorted(row[0] for row in postgres.read("SELECT product_id FROM events")) == [3, 7]


def test_an_event_counts_for_the_product_of_its_external_id_and_for_no_other(shop: None, serve: Serve) -> None:
    preferences, popularity = serve("update_preferences"), serve("update_popularity")
    sent = [
        event(None, external_id="1"),
        event(None, "purchase", external_id="1"),
        event(7, "purchase", external_id="1"),
        event(1, "purchase", external_id="1"),
        event(None, "purchase", external_id="unknown"),
        event(1),
    ]
    for client in (preferences, popularity):
        for _ in range(2):
            assert deliver(client, "u1", *sent, message_id="m1").status_code == 200
    stored = postgres.read("SELECT product_id, event_type, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2")
    assert [tuple(row) for row in stored] == [(1, "view", 1), (7, "purchase", 2), (7, "view", 1)]
    counted = postgres.read("SELECT product_id, views, purchase_count FROM product_stats ORDER BY 1")
    assert [tuple(row) for row in counted] == [(1, 1, 0), (7, 1, 2)]
    rejected = postgres.read("SELECT reason, event ->> 'external_id' FROM rejected_events ORDER BY position")
    assert [tuple(row) for row in rejected] == [
        ("'1' is not the external_id of product 1", "1"),
        ("unknown external_id 'unknown'", "unknown"),
    ]


def test_rules_name_a_product_by_either_id(shop: None, serve: Serve) -> None:
    client = as_admin(serve("admin"))
    rule = client.post("/admin/rules", json={"kind": "exclude", "external_id": "1"})
    assert (rule.status_code, rule.json()["product_id"], rule.json()["external_id"]) == (201, 7, "1")
    path = f"/admin/rules/{rule.json()['id']}"
    assert client.patch(path, json={"note": "x"}).json()["product_id"] == 7
    assert client.patch(path, json={"external_id": "A/1 b"}).json()["product_id"] == 1
    assert client.patch(path, json={"product_id": 2}).json()["external_id"] == "x" * 255
    assert client.post("/admin/rules", json={"kind": "pin", "external_id": "1", "product_id": 1}).status_code == 422
    assert client.post("/admin/rules", json={"kind": "pin", "external_id": "unknown"}).status_code == 404
    assert client.post("/admin/rules", json={"kind": "pin"}).status_code == 422
