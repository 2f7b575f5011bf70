"""Creating, changing and hiding products, with audit log and messages; a refused request changes nothing."""

from typing import Any

import httpx
import orjson
import pytest

from shared.clients.postgres import read
from tests.integration.products.conftest import catalog_state

LAMP = {
    "external_id": "ZL",
    "name": "Zanzibar Lamp",
    "price": 12.5,
    "category": "Home > Lamps",
    "tags": ["brass"],
    "quantity": 2,
}


def audit() -> list[Any]:
    return [tuple(row) for row in read("SELECT actor, action, subject, before, after FROM audit_log ORDER BY id")]


def test_a_new_product_is_stored_published_audited_and_searchable_at_once(admin: httpx.Client, messages: Any) -> None:
    take = messages("catalog-changes")
    assert admin.get("/products", params={"search": "zanzibar"}).json()["total"] == 0
    answer = admin.post("/products", json=LAMP, headers={"X-Request-ID": "request-1"})
    assert answer.status_code == 201, answer.text
    product = answer.json()
    assert answer.headers["location"] == f"/products/{product['id']}"
    assert (product["name"], product["price"], product["category"], product["tags"]) == (
        "Zanzibar Lamp",
        12.5,
        "Lamps",
        ["brass"],
    )
    assert admin.get(answer.headers["location"]).json() == product
    assert admin.get("/products", params={"search": "zanzibar"}).json()["products"] == [product]
    assert admin.get("/products/suggest", params={"q": "zanz"}).json()["suggestions"][0]["text"] == "zanzibar"
    lamps = next(category for category in admin.get("/products/categories").json() if category["name"] == "Lamps")
    assert (lamps["id"], lamps["product_count"]) == (product["category_id"], 1)
    [message] = take()
    assert orjson.loads(message.data) == {"product_ids": [product["id"]], "change": "created"}
    assert message.attributes["schema"] == "catalog-changes/1"
    [(actor, action, subject, before, after)] = audit()
    assert (actor, action, subject, before) == ("admin-token", "product.create", f"product:{product['id']}", None)
    assert (after["name"], after["price"]) == ("Zanzibar Lamp", 12.5)
    assert read("SELECT request_id FROM audit_log")[0][0] == "request-1"
    assert read("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0] == 0


def test_a_product_needs_only_a_name_and_a_price(admin: httpx.Client) -> None:
    product = admin.post("/products", json={"name": "Plain", "price": 0}).json()
    assert len(product["external_id"]) == 36
    assert (product["price"], product["quantity"], product["tags"], product["category"], product["is_active"]) == (
        0,
        0,
        [],
        None,
        True,
    )


def test_an_external_id_belongs_to_one_product(admin: httpx.Client) -> None:
    before = catalog_state()
    answer = admin.post("/products", json={"external_id": "H2", "name": "Another", "price": 1})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:conflict")
    assert catalog_state() == before


def test_a_patch_changes_the_fields_that_it_names_and_null_clears_a_field(
    admin: httpx.Client, shop: dict[str, int]
) -> None:
    path = f"/products/{shop['85123A']}"
    old = admin.get(path).json()
    changed = admin.patch(path, json={"price": 3.5, "category": None, "tags": None, "brand": "Acme"}).json()
    expected = old | {
        "price": 3.5,
        "category": None,
        "category_id": None,
        "category_path": None,
        "tags": [],
        "brand": "Acme",
        "updated_at": changed["updated_at"],
    }
    assert changed == expected
    assert changed["updated_at"] > old["updated_at"]
    assert admin.get(path).json() == changed
    assert admin.patch(path, json={"brand": None}).json()["brand"] is None
    [(_actor, action, _subject, before, after), _second] = audit()
    assert (action, before["price"], after["price"], before["category"], after["category"]) == (
        "product.update",
        2.95,
        3.5,
        "Candles",
        None,
    )


def test_a_patch_that_changes_nothing_writes_nothing(admin: httpx.Client, shop: dict[str, int]) -> None:
    before = catalog_state()
    for patch in ({}, {"price": 2.95}, {"quantity": 5, "name": "White Hanging Heart T-Light Holder"}):
        assert admin.patch(f"/products/{shop['85123A']}", json=patch).status_code == 200
    assert catalog_state() == before


def test_a_deleted_product_is_nowhere_to_be_seen_and_stays_deleted(
    admin: httpx.Client, shop: dict[str, int], messages: Any
) -> None:
    take = messages("catalog-changes")
    path = f"/products/{shop['H2']}"
    assert admin.get(path).status_code == 200
    assert [admin.delete(path).status_code for _ in range(2)] == [204, 204]
    assert admin.get(path).status_code == 404
    assert "H2" not in [
        product["external_id"] for product in admin.get("/products", params={"search": "heart"}).json()["products"]
    ]
    assert [orjson.loads(message.data) for message in take()] == [{"product_ids": [shop["H2"]], "change": "deleted"}]
    [(_actor, action, _subject, before, after)] = audit()
    assert (action, before["is_active"], after["is_active"]) == ("product.delete", True, False)
    assert admin.patch(path, json={"is_active": True}).json()["is_active"] is True
    assert admin.get(path).status_code == 200


BAD_PRODUCTS: list[Any] = [
    {},
    [],
    None,
    "x",
    {"name": "x"},
    {"price": 1},
    {"name": "", "price": 1},
    {"name": "  ", "price": 1},
    {"name": None, "price": 1},
    {"name": "x", "price": -0.01},
    {"name": "x", "price": "1"},
    {"name": "x", "price": True},
    {"name": "x", "price": None},
    {"name": "x", "price": 1.001},
    {"name": "x", "price": 1e11},
    {"name": "a\0b", "price": 1},
    {"name": "x" * 501, "price": 1},
    {"name": "x", "price": 1, "colour": "red"},
    {"name": "x", "price": 1, "quantity": -1},
    {"name": "x", "price": 1, "quantity": 2**31},
    {"name": "x", "price": 1, "category_id": 2**63},
    {"name": "x", "price": 1, "category_id": 99_999},
    {"name": "x", "price": 1, "id": 7},
    {"name": "x", "price": 1, "category": "New", "category_id": 1},
    {"name": "x", "price": 1, "tags": "red"},
    {"name": "x", "price": 1, "image_url": "javascript:alert(1)"},
    {"name": "x", "price": 1, "latitude": 1},
]
BAD_BODIES = (
    b'{"name": "x", "price": NaN}',
    b'{"name": "x", "price": Infinity}',
    b'{"name": "x", "price": 1e400}',
    b'{"name": "\\ud800", "price": 1}',
    b"{",
    b"",
    b"\xff\xfe",
    b'{"name": "x"} {}',
)


def test_a_product_that_is_not_valid_changes_nothing(admin: httpx.Client) -> None:
    before = catalog_state()
    for body in [*map(orjson.dumps, BAD_PRODUCTS), *BAD_BODIES]:
        answer = admin.post("/products", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), body
        assert answer.headers["content-type"] == "application/problem+json", body
    assert catalog_state() == before


def test_a_patch_that_is_not_valid_changes_nothing(admin: httpx.Client, shop: dict[str, int]) -> None:
    before = catalog_state()
    for patch in (
        {"price": -1},
        {"price": None},
        {"name": None},
        {"name": ""},
        {"external_id": "new"},
        {"id": 3},
        {"quantity": 1.5},
        {"category_id": 99_999},
        {"is_active": None},
        {"is_active": "no"},
        {"tags": [1]},
        [],
        None,
    ):
        answer = admin.patch(f"/products/{shop['H2']}", json=patch)
        assert answer.status_code == 422, patch
        assert answer.json()["errors"], patch
    assert admin.patch("/products/999999", json={"price": 1}).json()["type"] == "urn:aisle:problem:product-not-found"
    assert admin.delete("/products/999999").json()["type"] == "urn:aisle:problem:product-not-found"
    assert catalog_state() == before


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (None, 401),
        ("Basic YTpi", 401),
        ("Bearer", 401),
        ("Bearer wrong-token-wrong-token", 403),
        ("Bearer än-admin-token-for-tests", 403),
    ],
)
def test_without_the_admins_token_nothing_is_written(
    client: httpx.Client, shop: dict[str, int], authorization: str | None, status: int
) -> None:
    before = catalog_state()
    headers = {} if authorization is None else {"Authorization": authorization.encode()}
    path = f"/products/{shop['H2']}"
    answers = [
        client.post("/products", json=LAMP, headers=headers),
        client.patch(path, json={"price": 1}, headers=headers),
        client.delete(path, headers=headers),
        client.post("/products/import", content=b"{}", headers={**headers, "Content-Type": "application/x-ndjson"}),
    ]
    for answer in answers:
        assert answer.status_code == status
        assert ("www-authenticate" in answer.headers) == (status == 401)
    assert catalog_state() == before


def test_where_no_admin_token_is_set_the_admin_routes_are_closed(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.settings import settings

    monkeypatch.delenv("ADMIN_TOKEN")
    settings.cache_clear()
    answer = client.post("/products", json=LAMP, headers={"Authorization": "Bearer None"})
    assert answer.status_code == 403
    assert "ADMIN_TOKEN" in answer.json()["detail"]


def test_the_catalog_can_be_written_while_pubsub_is_away(admin: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    from shared.clients import pubsub
    from shared.settings import settings

    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setenv("PUBLISH_TIMEOUT_S", "0.5")
    pubsub.close()
    settings.cache_clear()
    assert admin.post("/products", json=LAMP).status_code == 201
    assert admin.get("/products", params={"search": "zanzibar"}).json()["total"] == 1
    assert read("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0] == 1


def test_the_catalog_can_be_read_and_written_while_redis_is_away(
    admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.clients import reset

    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    reset()
    assert admin.post("/products", json=LAMP).status_code == 201
    assert admin.get("/products", params={"search": "zanzibar"}).json()["total"] == 1


def test_without_postgres_the_answer_is_a_problem_with_a_retry_after(
    admin: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.clients import reset

    monkeypatch.setenv("DATABASE_URL", "postgresql+pg8000://nobody@127.0.0.1:1/none")
    reset()
    for answer in (admin.get("/products"), admin.get("/products/1"), admin.post("/products", json=LAMP)):
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:aisle:problem:database-unavailable")
        assert int(answer.headers["retry-after"]) >= 1
