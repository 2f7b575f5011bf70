"""The preview of a user's recommendations: every candidate, what its score consists of, and why it is in or out."""

from typing import Any

import httpx
import pytest

from functions.admin.schemas.preview import Preview
from shared.clients import postgres
from shared.tokens import issue
from tests.integration.conftest import Serve
from tests.integration.people import ADMIN, bearer, register
from tests.integration.shop import StoredEvent, add_events, add_model, add_plain_products, add_products


@pytest.fixture
def staff(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The admin function, called by a member of staff."""
    client = serve("admin")
    user_id = register(serve("accounts"), "staff")["user_id"]
    postgres.write("UPDATE users SET role = 'support' WHERE external_id = :id", id=user_id)
    client.headers.update(bearer(issue(user_id, "support")))
    return client


def preview(staff: httpx.Client, **query: Any) -> dict[str, Any]:
    answer = staff.get("/admin/preview", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    Preview.model_validate(body)
    return body


def outcomes(body: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the candidates by the names of their products."""
    return {candidate["product"]["name"]: candidate for candidate in body["candidates"]}


@pytest.fixture
def shop(env: dict[str, str]) -> list[int]:
    """Eleven products, of which Ann bought the first and viewed the second and third; Bob did nothing.

    Returns the ids of "product 0" to "product 10". The model finds 4 to 9 similar to what Ann knows.
    """
    ids = add_plain_products(11, inactive=(6,))
    add_events(
        [
            StoredEvent("ann", ids[1], "purchase", 2.0),
            StoredEvent("ann", ids[2], "view", 1.0),
            StoredEvent("ann", ids[3], "view", 0.1),
            StoredEvent("bob", None, "search", 1.0),
        ]
    )
    postgres.write(
        "INSERT INTO user_purchases SELECT id, :id, 1, now(), now() FROM users WHERE external_id = 'ann'", id=ids[1]
    )
    add_model(
        {
            ids[1]: {ids[4]: 0.8, ids[5]: 0.4, ids[6]: 0.2, ids[9]: 0.1},
            ids[2]: {ids[4]: 0.5, ids[7]: 0.3, ids[3]: 0.2},
            ids[3]: {ids[8]: 0.1},
        }
    )
    postgres.write("UPDATE products SET quantity = 0 WHERE id = :id", id=ids[5])
    for variant in (ids[1], ids[9]):
        postgres.write("UPDATE products SET item_group_id = 'g' WHERE id = :id", id=variant)
    postgres.write("INSERT INTO rules (kind, product_id) VALUES ('exclude', :id)", id=ids[7])
    postgres.write("INSERT INTO rules (kind, product_id, factor) VALUES ('boost', :id, 3)", id=ids[8])
    return ids


def test_every_candidate_has_its_place_its_score_and_its_reasons(staff: httpx.Client, shop: list[int]) -> None:
    body = preview(staff, user_id="ann", k=3)
    assert (body["strategy"], body["algorithm"]) == ("personalized", "test")
    # a purchase weighs 5 and a view 1
    assert [(line["name"], line["weight"]) for line in body["profile"]] == [
        ("product 1", 5.0),
        ("product 2", 1.0),
        ("product 3", 1.0),
    ]
    found = outcomes(body)
    # 4 has 5 · 0.8 + 0.5 = 4.5, the greatest sum, and 8 has 0.1; six tenths of a score come from the profile
    places = {name: (found[name]["place"], found[name]["verdict"], found[name]["reasons"]) for name in found}
    assert places == {
        "product 4": (1, "in", []),
        "product 8": (2, "in", []),
        "product 10": (3, "in", []),
        "product 2": (None, "out", ["below_cut"]),
        "product 0": (None, "out", ["below_cut"]),
        "product 5": (None, "out", ["sold_out", "below_cut"]),
        "product 6": (None, "out", ["hidden"]),
        "product 9": (None, "out", ["variant"]),
        "product 7": (None, "out", ["rule"]),
        "product 3": (None, "out", ["viewed"]),
        "product 1": (None, "out", ["bought"]),
    }
    assert found["product 4"]["parts"] == {
        "profile": pytest.approx(0.6),
        "taste": 0,
        "trend": 0,
        "nearness": 1,
        "rules": 1,
    }
    assert found["product 8"]["score"] == pytest.approx(3 * 0.6 * 0.1 / 4.5)
    assert found["product 8"]["parts"]["rules"] == 3
    assert [rule["kind"] for rule in found["product 8"]["rules"]] == ["boost"]
    assert [(source["name"], source["part"]) for source in found["product 4"]["sources"]] == [
        ("product 1", pytest.approx(4.0)),
        ("product 2", pytest.approx(0.5)),
    ]
    origins = {name: found[name]["origin"] for name in ("product 4", "product 10", "product 6")}
    assert origins == {"product 4": "model", "product 10": "newest", "product 6": None}
    # what left 6, 9 and 7 out says how good they would have been
    assert [found[f"product {n}"]["collaborative_score"] for n in (6, 9, 7)] == pytest.approx([1.0, 0.5, 0.3])


def test_another_user_is_explained_by_their_own_history(staff: httpx.Client, shop: list[int]) -> None:
    preview(staff, user_id="ann", k=3)
    body = preview(staff, user_id="bob", k=3)
    assert (body["strategy"], body["profile"], body["taste"]) == ("trending", [], [])
    found = outcomes(body)
    # Bob may see what Ann has just viewed, and a variant of what she bought; the boosted product comes first
    assert found["product 3"]["reasons"] == ["below_cut"]
    assert (found["product 9"]["place"], found["product 9"]["reasons"]) == (3, [])
    assert found["product 7"]["reasons"] == ["rule"]
    assert "product 6" not in found


def test_a_session_without_a_user_is_explained(staff: httpx.Client, shop: list[int]) -> None:
    body = preview(staff, product_id=shop[2], k=3)
    assert (body["user_id"], body["strategy"]) == (None, "personalized")
    found = outcomes(body)
    assert found["product 4"]["place"] == 1
    assert found["product 2"]["reasons"] == ["excluded", "viewed"]
    assert found["product 7"]["reasons"] == ["rule"]


def test_rules_show_where_a_product_would_stand_without_them(staff: httpx.Client, shop: list[int]) -> None:
    postgres.write("INSERT INTO rules (kind, product_id, position, note) VALUES ('pin', :id, 1, 'Hello')", id=shop[0])
    found = outcomes(preview(staff, user_id="ann", k=3))
    pinned = found["product 0"]
    assert (pinned["place"], pinned["place_without_rules"], pinned["reasons"]) == (1, None, ["pinned"])
    assert [rule["text"] for rule in pinned["rules"]] == ["Hello"]
    moved = found["product 4"]
    assert (moved["place"], moved["place_without_rules"], moved["rules"]) == (2, 1, [])


def test_the_request_s_wishes_are_reasons(staff: httpx.Client, shop: list[int]) -> None:
    in_stock = outcomes(preview(staff, user_id="ann", k=3, in_stock="true"))
    assert in_stock["product 5"]["reasons"] == ["sold_out"]
    assert in_stock["product 4"]["place"] == 1
    known = outcomes(preview(staff, user_id="ann", k=10, repeats="only"))
    assert {name for name in known if known[name]["verdict"] == "in"} == {"product 1", "product 2", "product 3"}
    assert known["product 4"]["reasons"] == ["unmet"]
    all_kinds = outcomes(preview(staff, user_id="ann", k=10, repeats="include"))
    assert all_kinds["product 3"]["verdict"] == "in"


def test_a_preview_is_no_answer_to_a_shopper(staff: httpx.Client, shop: list[int]) -> None:
    preview(staff, user_id="ann")
    preview(staff, user_id="nobody-yet")
    assert postgres.read("SELECT count(*) FROM recommendation_log")[0][0] == 0
    assert postgres.read("SELECT count(*) FROM users WHERE external_id = 'nobody-yet'")[0][0] == 0


def test_machines_have_no_access_to_what_people_did(staff: httpx.Client, shop: list[int]) -> None:
    assert staff.get("/admin/preview", params={"user_id": "ann"}, headers=ADMIN).status_code == 403


@pytest.fixture
def varied(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The recommendations of a shop with variants, trends, rules, tastes, and products that are hidden or sold out."""
    add_products(30)
    postgres.write("UPDATE products SET item_group_id = 'shirt' WHERE id IN (1, 2, 3)")
    postgres.write("UPDATE products SET item_group_id = 'mug' WHERE id IN (11, 12)")
    postgres.write("UPDATE products SET quantity = 0 WHERE id IN (1, 5, 13)")
    postgres.write("UPDATE products SET is_active = false WHERE id IN (7, 15)")
    postgres.write("INSERT INTO product_stats SELECT n, 0, 100 - n FROM generate_series(1, 30) AS n")
    for window in ("7d", "30d"):
        postgres.write(
            f"INSERT INTO trending_scores SELECT '{window}', p.id, 100 - p.id, 1, now(), p.category_id FROM products p"
        )
    add_model({n: {m: 1 / (1 + abs(n - m)) for m in range(1, 31) if m != n} for n in range(1, 21)})
    add_events(
        [StoredEvent("viewer", 4), StoredEvent("viewer", 9, "view", 0.1)]
        + [StoredEvent("buyer", n, "purchase", float(n)) for n in (2, 11, 20, 25)]
        + [StoredEvent("everything", n, "purchase", 1.0 + n) for n in range(1, 31)]
    )
    postgres.write(
        """INSERT INTO user_purchases SELECT user_id, product_id, 1, now(), now() FROM events
           WHERE event_type = 'purchase'"""
    )
    postgres.write(
        """INSERT INTO user_preferences
           SELECT u.id, 'category', c.id::text, 3, now() FROM users u, categories c
           WHERE u.external_id = 'viewer' AND c.name = 'Bags'"""
    )
    postgres.write(
        """INSERT INTO rules (kind, product_id, position, factor)
           VALUES ('pin', 28, 2, NULL), ('exclude', 6, NULL, NULL), ('bury', 8, NULL, 0.5)"""
    )
    return serve("recommendations")


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"k": 3},
        {"k": 30},
        {"k": 5, "in_stock": "true"},
        {"k": 12, "in_stock": "false"},
        {"k": 8, "repeats": "include"},
        {"k": 8, "repeats": "only"},
        {"k": 10, "diversity": 0.7},
        {"k": 10, "product_id": 9, "recent": "4,12"},
    ],
)
def test_what_is_in_is_what_shoppers_get(varied: httpx.Client, staff: httpx.Client, query: dict[str, Any]) -> None:
    for user_id in ("viewer", "buyer", "everything", "never-seen"):
        answer = varied.get("/recommendations", params={"user_id": user_id, **query}, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        served = [(product["id"], product["rank"]) for product in answer.json()["recommendations"]]
        candidates = preview(staff, user_id=user_id, **query)["candidates"]
        ids = [candidate["product"]["id"] for candidate in candidates]
        assert len(ids) == len(set(ids))
        assert [
            (candidate["product"]["id"], candidate["place"]) for candidate in candidates if candidate["verdict"] == "in"
        ] == served
        # each other product says why it is not in the answer
        assert all(candidate["reasons"] for candidate in candidates if candidate["verdict"] == "out")


def test_products_beyond_the_candidates_are_below_the_cut(staff: httpx.Client) -> None:
    # of so many neighbours the statement reads the best 120 for a short answer; the newest 20 products fill it up
    ids = add_plain_products(160)
    add_events([StoredEvent("ann", ids[0])])
    add_model({ids[0]: {neighbour: 1 - place / 200 for place, neighbour in enumerate(ids[1:131])}})
    candidates = preview(staff, user_id="ann", k=3)["candidates"]
    places = {candidate["product"]["id"]: candidate["place"] for candidate in candidates}
    assert [places[product_id] for product_id in ids[1:5]] == [1, 2, 3, None]
    beyond = {candidate["product"]["id"]: candidate for candidate in candidates if candidate["score"] is None}
    assert sorted(beyond) == ids[121:131]
    assert all(candidate["reasons"] == ["below_cut"] for candidate in beyond.values())
    assert beyond[ids[121]]["collaborative_score"] == pytest.approx(1 - 120 / 200)


def test_the_product_in_view_comes_before_the_ones_viewed_before(staff: httpx.Client) -> None:
    ids = add_plain_products(4)
    add_model({ids[0]: {ids[3]: 0.5}}, {"serving": {"rank_decay": 0.5, "blend": 1.0}})
    body = preview(staff, k=3, product_id=ids[0], recent=f"{ids[1]},{ids[2]}")
    weights = {line["product_id"]: line["weight"] for line in body["profile"]}
    # a view weighs 1, and each later place half of the one before
    assert weights == {ids[0]: 1.0, ids[1]: 0.5, ids[2]: 0.25}
