"""Every PATCH and PUT changes the field that was sent, and nothing else."""

from collections.abc import Callable
from typing import Any, Final

import httpx
import pytest

from local.openapi import union
from shared.clients.postgres import read, write
from tests.integration.people import PASSWORD, bearer, register
from tests.integration.shop import add_products
from tests.unit.test_api_description import DOCUMENTS

STAFF: Final = {"Authorization": "Bearer an-admin-token-for-tests"}
Serve = Callable[[str], httpx.Client]
OPERATIONS: Final = {
    f"{method.upper()} {path}": operation
    for path, methods in union(DOCUMENTS)["paths"].items()
    for method, operation in methods.items()
    # an upload is a file and what finishes it
    if method in ("patch", "put") and path not in ("/products/image-uploads", "/products/{product_id}/image")
}
SCHEMAS: Final = union(DOCUMENTS)["components"]["schemas"]
# a new value of each field, by route; with the fields that a rule of the model ties to it
CHANGES: Final[dict[str, dict[str, dict[str, Any]]]] = {
    "PATCH /products/{product_id}": {
        "name": {"name": "Another name"},
        "description": {"description": "Another description"},
        "price": {"price": 7.25},
        "image_url": {"image_url": "https://images.example/2.png"},
        "category": {"category": "Garden"},
        "category_id": {"category_id": 1},
        "further_categories": {"further_categories": ["Garden"]},
        "item_group_id": {"item_group_id": "group"},
        "variant_title": {"variant_title": "S / Black"},
        "list_price": {"list_price": 20.0},
        "currency": {"currency": "EUR"},
        "average_rating": {"average_rating": 4.5},
        "review_count": {"review_count": 3},
        "available_from": {"available_from": "2027-01-01T00:00:00Z"},
        "brand": {"brand": "Other"},
        "tags": {"tags": ["new"]},
        "quantity": {"quantity": 3},
        "stock_counted": {"stock_counted": False},
        "is_active": {"is_active": False},
        "latitude": {"latitude": 1.5, "longitude": 10.0},
        "longitude": {"latitude": 50.0, "longitude": 2.5},
    },
    "PATCH /admin/rules/{rule_id}": {
        "kind": {"kind": "bury", "factor": 0.5},
        "product_id": {"product_id": 2},
        "external_id": {"external_id": "SKU2"},
        "category_id": {"category_id": 2},
        "brand": {"brand": "Other"},
        "tag": {"tag": "other"},
        "price_min": {"price_min": 1.5},
        "price_max": {"price_max": 99.5},
        "discount_min": {"discount_min": 0.5},
        "factor": {"factor": 5.0},
        "starts_at": {"starts_at": "2031-01-01T00:00:00Z"},
        "ends_at": {"ends_at": "2041-01-01T00:00:00Z"},
        "active": {"active": True},
        "note": {"note": "another note"},
        "segment_id": {"segment_id": 902},
    },
    "PATCH /admin/feeds/{feed_id}": {
        "name": {"name": "Another feed"},
        "url": {"url": "https://shop.example/other.csv"},
        "preset": {"preset": "google"},
        "columns": {"columns": "name:title"},
        "separator": {"separator": ";"},
        "encoding": {"encoding": "latin-1"},
        "decimal": {"decimal": ","},
        "format": {"format": "jsonl"},
        "every_minutes": {"every_minutes": 60},
        "credentials": {"credentials": "aisle-feed-other"},
        "max_gone_share": {"max_gone_share": 0.5},
        "is_active": {"is_active": False},
    },
    "PATCH /admin/shop": {
        "name": {"name": "Another shop"},
        "currency": {"currency": "JPY"},
        "time_zone": {"time_zone": "Asia/Tokyo"},
        "search_language": {"search_language": "german"},
        "unknown_products": {"unknown_products": "stub"},
    },
    "PATCH /cart/items/{product_id}": {"quantity": {"quantity": 4}},
    "PATCH /users/me": {
        "username": {"username": "grace"},
        "email": {"email": "grace@example.com", "password": PASSWORD},
        "city": {"city": "Bern"},
    },
    "PUT /users/me/location": {
        "latitude": {"latitude": 1.5, "longitude": 10.0},
        "longitude": {"latitude": 50.0, "longitude": 2.5},
        "city": {"latitude": 50.0, "longitude": 10.0, "city": "Bern"},
    },
    "PUT /admin/users/role": {"role": {"role": "support"}},
    "PUT /wishlist/{product_id}": {},
}
# the same changes, by the shop's own id
BY_EXTERNAL_ID: Final = {
    "PATCH /products": "PATCH /products/{product_id}",
    "PATCH /cart/items": "PATCH /cart/items/{product_id}",
    "PUT /wishlist": "PUT /wishlist/{product_id}",
}
# of the schema but not of the stored state, or (position) of another kind of rule
NOT_STORED: Final = {
    "PATCH /users/me": {"password"},
    "PATCH /admin/rules/{rule_id}": {"position"},
    "PUT /admin/users/role": {"email"},
}


def request_schema(route: str) -> dict[str, Any]:
    body = OPERATIONS[route].get("requestBody")
    if body is None:
        return {}
    reference = body["content"]["application/json"]["schema"]["$ref"]
    schema: dict[str, Any] = SCHEMAS[reference.rpartition("/")[2]]
    return schema


def test_every_partial_change_is_walked() -> None:
    assert set(CHANGES) | set(BY_EXTERNAL_ID) == set(OPERATIONS)
    for route, same in BY_EXTERNAL_ID.items():
        assert request_schema(route) == request_schema(same), route
    for route, changes in CHANGES.items():
        fields = set(request_schema(route).get("properties", ())) - NOT_STORED.get(route, set())
        assert set(changes) == fields, route


@pytest.mark.parametrize("route", OPERATIONS)
def test_a_field_of_a_change_has_no_default(route: str) -> None:
    """A generated client sends the defaults of fields that its caller did not set."""
    for name, field in request_schema(route).get("properties", {}).items():
        assert "default" not in field, name


def rows(table: str, ignored: set[str]) -> list[dict[str, Any]]:
    found = [row[0] for row in read(f"SELECT to_jsonb(t) FROM {table} t ORDER BY t::text")]
    return [{name: value for name, value in row.items() if name not in ignored} for row in found]


def differences(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> set[str]:
    """Names of the columns that differ in any row."""
    assert len(before) == len(after)
    return {name for old, new in zip(before, after, strict=True) for name in old if old[name] != new[name]}


@pytest.mark.parametrize("by_external_id", [False, True])
@pytest.mark.parametrize("field", CHANGES["PATCH /products/{product_id}"])
def test_a_product_keeps_its_other_fields(env: dict[str, str], serve: Serve, field: str, by_external_id: bool) -> None:
    products = serve("products")
    body = {
        "name": "Mug",
        "description": "A mug",
        "price": 12.5,
        "quantity": 9,
        "tags": ["a", "b"],
        "brand": "Brand",
        "category": "Kitchen",
        "image_url": "https://images.example/1.png",
        "latitude": 50.0,
        "longitude": 10.0,
    }
    garden = products.post("/products", json=body | {"category": "Garden"}, headers=STAFF).json()
    mug = products.post("/products", json=body, headers=STAFF).json()
    change = CHANGES["PATCH /products/{product_id}"][field]
    if field == "category_id":
        change = {"category_id": garden["category_id"]}
    # the search document and the key of the title are derived from the others
    ignored = {"updated_at", "document", "title_key"}
    before = {row["id"]: row for row in rows("products", ignored)}
    path = "/products" if by_external_id else f"/products/{mug['id']}"
    params = {"external_id": mug["external_id"]} if by_external_id else {}
    answer = products.patch(path, params=params, json=change, headers=STAFF)
    assert answer.status_code == 200, answer.text
    after = {row["id"]: row for row in rows("products", ignored)}
    assert after[garden["id"]] == before[garden["id"]]
    stored = {"category": "category_id", "further_categories": "further_category_ids"}.get(field, field)
    assert differences([before[mug["id"]]], [after[mug["id"]]]) == {stored}


@pytest.mark.parametrize("field", CHANGES["PATCH /admin/shop"])
def test_the_shop_keeps_its_other_settings(env: dict[str, str], serve: Serve, field: str) -> None:
    admin = serve("admin")
    body = {"name": "Shop", "currency": "EUR", "time_zone": "Europe/Paris", "search_language": "french"}
    assert admin.patch("/admin/shop", json=body, headers=STAFF).status_code == 200
    # the languages of the documents follow the shop's
    before = rows("shop", {"updated_at", "languages"})
    answer = admin.patch("/admin/shop", json=CHANGES["PATCH /admin/shop"][field], headers=STAFF)
    assert answer.status_code == 200, answer.text
    assert differences(before, rows("shop", {"updated_at", "languages"})) == {field}


@pytest.mark.parametrize("field", CHANGES["PATCH /admin/feeds/{feed_id}"])
def test_a_feed_keeps_its_other_settings(env: dict[str, str], serve: Serve, field: str) -> None:
    admin = serve("admin")
    body = {
        "name": "Feed",
        "url": "https://shop.example/feed.csv",
        "preset": "shopify",
        "columns": "brand:Vendor",
        "separator": ",",
        "encoding": "utf-8",
        "decimal": ".",
        "format": "csv",
        "every_minutes": 30,
        "credentials": "aisle-feed-shop",
        "max_gone_share": 0.1,
        "is_active": True,
    }
    created = [admin.post("/admin/feeds", json=body, headers=STAFF) for _ in range(2)]
    assert [answer.status_code for answer in created] == [201, 201], created[0].text
    bystander, feed = (answer.json()["id"] for answer in created)
    ignored = {"updated_at", "next_run_at", "last_run_at"}
    before = {row["id"]: row for row in rows("feeds", ignored)}
    answer = admin.patch(f"/admin/feeds/{feed}", json=CHANGES["PATCH /admin/feeds/{feed_id}"][field], headers=STAFF)
    assert answer.status_code == 200, answer.text
    after = {row["id"]: row for row in rows("feeds", ignored)}
    assert after[bystander] == before[bystander]
    assert differences([before[feed]], [after[feed]]) == {field}


@pytest.mark.parametrize("field", CHANGES["PATCH /admin/rules/{rule_id}"])
def test_a_rule_keeps_its_other_fields(env: dict[str, str], serve: Serve, field: str) -> None:
    add_products(3)
    write("INSERT INTO categories (id, name) VALUES (901, 'One'), (902, 'Two') ON CONFLICT DO NOTHING")
    write(
        "INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile)"
        " SELECT id, 'Segment ' || id, 1, 0, 0, 0, 0, '{}' FROM unnest(ARRAY[901, 902]) AS id"
    )
    admin = serve("admin")
    body = {
        "kind": "boost",
        "segment_id": 901,
        "product_id": 1,
        "category_id": 901,
        "brand": "Brand",
        "tag": "tag1",
        "price_min": 1.0,
        "price_max": 100.0,
        "factor": 3.0,
        "starts_at": "2030-01-01T00:00:00Z",
        "ends_at": "2040-01-01T00:00:00Z",
        "active": False,
        "note": "a note",
    }
    created = [admin.post("/admin/rules", json=body, headers=STAFF) for _ in range(2)]
    assert [answer.status_code for answer in created] == [201, 201], created[0].text
    bystander, rule = (answer.json()["id"] for answer in created)
    change = CHANGES["PATCH /admin/rules/{rule_id}"][field]
    if field == "category_id":
        change = {"category_id": 902}
    before = {rule["id"]: rule for rule in admin.get("/admin/rules", headers=STAFF).json()["rules"]}
    answer = admin.patch(f"/admin/rules/{rule}", json=change, headers=STAFF)
    assert answer.status_code == 200, answer.text
    after = {rule["id"]: rule for rule in admin.get("/admin/rules", headers=STAFF).json()["rules"]}
    assert after[bystander] == before[bystander]
    # both ids are the same product's
    ids = {"product_id", "external_id"}
    expected = ids if field in ids else {field} | (set(change) - {field})
    assert differences([before[rule]], [after[rule]]) - {"updated_at"} == expected


@pytest.mark.parametrize(
    ("route", "field"),
    [(route, field) for route in ("PATCH /users/me", "PUT /users/me/location") for field in CHANGES[route]],
)
def test_a_profile_keeps_its_other_fields(env: dict[str, str], serve: Serve, route: str, field: str) -> None:
    accounts = serve("accounts")
    register(accounts, "bystander")
    mine = bearer(register(accounts, "ada"))
    place = {"latitude": 50.0, "longitude": 10.0, "city": "Ulm"}
    assert accounts.put("/users/me/location", json=place, headers=mine).status_code == 200
    ignored = {"updated_at", "last_seen_at"}
    before = rows("users", ignored)
    method, path = route.split()
    answer = accounts.request(method, path, json=CHANGES[route][field], headers=mine)
    assert answer.status_code == 200, answer.text
    assert differences(before, rows("users", ignored)) == {field}


def test_a_cart_keeps_its_other_lines(env: dict[str, str], serve: Serve) -> None:
    add_products(3)
    cart = serve("cart")
    mine, theirs = {"user_id": "browser-1"}, {"user_id": "browser-2"}
    for params, product in ((mine, 1), (mine, 2), (theirs, 1)):
        cart.post("/cart/items", params=params, json={"product_id": product, "quantity": 2})
    assert cart.patch("/cart/items/1", params=mine, json={"quantity": 4}).status_code == 200
    assert cart.put("/wishlist/3", params=mine).status_code == 201
    assert cart.put("/wishlist/2", params=theirs).status_code == 201
    found = {
        params["user_id"]: [
            (item["product"]["id"], item["quantity"]) for item in cart.get("/cart", params=params).json()["items"]
        ]
        for params in (mine, theirs)
    }
    assert found == {"browser-1": [(1, 4), (2, 2)], "browser-2": [(1, 2)]}
    assert [item["product"]["id"] for item in cart.get("/wishlist", params=mine).json()["items"]] == [3]


def test_a_role_is_assigned_to_one_account(env: dict[str, str], serve: Serve) -> None:
    accounts, admin = serve("accounts"), serve("admin")
    register(accounts, "bystander")
    user, staff = register(accounts, "ada"), register(accounts, "boss")
    write("UPDATE users SET role = 'admin' WHERE external_id = :id", id=staff["user_id"])
    token = accounts.post("/auth/login", json={"email": "boss@example.com", "password": PASSWORD}).json()
    ignored = {"updated_at", "last_seen_at"}
    before = {row["username"]: row for row in rows("users", ignored)}
    answer = admin.put(f"/admin/users/{user['user_id']}/role", json={"role": "support"}, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    after = {row["username"]: row for row in rows("users", ignored)}
    assert differences([before["ada"]], [after["ada"]]) >= {"role"}
    assert {name: after[name] for name in ("bystander", "boss")} == {
        name: before[name] for name in ("bystander", "boss")
    }
