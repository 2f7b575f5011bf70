"""Attribution: answers are logged, storefronts send feedback, and purchases are attributed to answers."""

from typing import Any
from uuid import uuid4

import httpx

from shared.clients import postgres
from shared.storage.recommending import attribution
from tests.integration.conftest import Serve
from tests.integration.shop import StoredEvent, add_events, add_model

JSON = {"Content-Type": "application/json"}


def recommend(client: httpx.Client, user: str, **query: Any) -> dict[str, Any]:
    answer = client.get("/recommendations", params={"user_id": user, "k": 3} | query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def send(client: httpx.Client, answer: dict[str, Any], product_id: int, action: str, **more: Any) -> httpx.Response:
    body = {"recommendation_id": answer["recommendation_id"], "product_id": product_id, "action": action} | more
    return client.post("/recommendations/feedback", json=body)


def backdate(hours: float) -> None:
    """Move every answer into the past."""
    postgres.write("UPDATE recommendation_log SET at = at - make_interval(secs => :s)", s=hours * 3600)


def test_every_computed_answer_is_logged_as_it_was_shown(client: httpx.Client) -> None:
    version = add_model({1: {2: 0.9}})
    plain = recommend(client, "u")
    repeated = recommend(client, "u")
    explained = recommend(client, "u", explain=True, product_id=1)
    bought = client.get("/buy-again?user_id=u").json()
    basket = client.get("/frequently-bought-together?product_id=1&user_id=u").json()
    alike = client.get("/similar-products?product_id=1&k=2&user_id=u").json()
    assert repeated == plain
    rows = postgres.read(
        "SELECT id::text, user_id, kind, strategy, model_version, product_ids FROM recommendation_log ORDER BY at"
    )
    logged_ids = [[product["id"] for product in answer["recommendations"]] for answer in (plain, explained)]
    assert [tuple(row) for row in rows] == [
        (plain["recommendation_id"], "u", "recommendations", "trending", version, logged_ids[0]),
        (explained["recommendation_id"], "u", "recommendations", "personalized", version, logged_ids[1]),
        (bought["recommendation_id"], "u", "buy_again", "replenishment", version, []),
        (basket["recommendation_id"], "u", "bought_together", "baskets", None, []),
        (
            alike["recommendation_id"],
            "u",
            "similar",
            "similar",
            version,
            [product["id"] for product in alike["similar_products"]],
        ),
    ]
    for shared in ("/frequently-bought-together?product_id=1", "/similar-products?product_id=1"):
        assert "recommendation_id" not in client.get(shared).json()


def test_feedback_counts_once(client: httpx.Client) -> None:
    answer = recommend(client, "u")
    product = answer["recommendations"][0]["id"]
    for _ in range(2):
        assert send(client, answer, product, "impression", position=1).json() == {"status": "accepted"}
        assert send(client, answer, product, "click").status_code == 202
    rows = postgres.read("SELECT action, position FROM recommendation_feedback ORDER BY action")
    assert [tuple(row) for row in rows] == [("click", None), ("impression", 1)]


def test_feedback_on_products_that_were_not_shown_is_a_problem_and_changes_nothing(client: httpx.Client) -> None:
    answer = recommend(client, "u")
    assert send(client, answer, 1, "click").status_code == 404
    assert send(client, {"recommendation_id": str(uuid4())}, 12, "click").status_code == 404
    for body in (
        {},
        [],
        {"recommendation_id": "x", "product_id": 12, "action": "click"},
        {"recommendation_id": answer["recommendation_id"], "product_id": 12, "action": "bought"},
        {"recommendation_id": answer["recommendation_id"], "product_id": "12", "action": "click"},
        {"recommendation_id": answer["recommendation_id"], "product_id": 12, "action": "click", "position": 0},
        {"recommendation_id": answer["recommendation_id"], "product_id": 12, "action": "click", "nope": 1},
    ):
        refused = client.post("/recommendations/feedback", json=body)
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), body
    assert client.post("/recommendations/feedback", content=b"{", headers=JSON).status_code == 400
    assert postgres.read("SELECT 1 FROM recommendation_feedback") == []


def test_purchases_within_a_day_are_attributed_to_the_last_answer_that_showed_the_product(client: httpx.Client) -> None:
    first = recommend(client, "u")
    product_ids = [product["id"] for product in first["recommendations"]]
    backdate(5)
    recommend(client, "u", in_stock=True)
    recommend(client, "other")
    backdate(1)
    # two attributed events, one of a product not shown, and one by a user without answers
    add_events(
        [
            StoredEvent("u", product_ids[0], "purchase", 0.5),
            StoredEvent("u", product_ids[1], "add_to_cart", 0.5),
            StoredEvent("u", 1, "purchase", 0.5),
            StoredEvent("x", product_ids[0], "purchase", 0.5),
        ]
    )
    send(client, first, product_ids[0], "impression")
    send(client, first, product_ids[0], "click")
    (summary,) = attribution.summary(30)
    assert summary == {
        "kind": "recommendations",
        "strategy": "trending",
        "model_version": None,
        "answers": 3,
        "impressions": 1,
        "clicks": 1,
        "add_to_carts": 1,
        "purchases": 1,
        "ctr": 1.0,
        "conversion": 0.3333,
    }


def test_a_purchase_before_the_answer_or_a_day_later_is_not_attributed_to_it(client: httpx.Client) -> None:
    answer = recommend(client, "u")
    product = answer["recommendations"][0]["id"]
    backdate(30)
    add_events([StoredEvent("u", product, "purchase", 31), StoredEvent("u", product, "purchase", 5)])
    assert attribution.summary(30)[0]["purchases"] == 0
    add_events([StoredEvent("u", product, "purchase", 7)])
    assert attribution.summary(30)[0]["purchases"] == 1


def test_stored_counts_and_live_counts_add_up(client: httpx.Client, serve: Serve) -> None:
    for user in ("a", "b"):
        recommend(client, user)
    backdate(24 * 10)
    recommend(client, "c")
    assert attribution.summary(30)[0]["answers"] == 1
    result = serve("daily_stats").post("/", json={"days": 30})
    assert result.json()["answers"] == 3
    for _ in range(2):
        assert attribution.summary(30)[0]["answers"] == 3
    recommend(client, "d")
    assert attribution.summary(30)[0]["answers"] == 4
    assert serve("daily_stats").post("/", json={}).json()["answers"] == 2
    assert attribution.summary(30)[0]["answers"] == 4
