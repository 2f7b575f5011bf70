"""Drawn pictures: served safely, named wherever products are answered, and stored nowhere."""

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import httpx
import orjson
import pytest

from shared.clients.postgres import read, write
from tests.integration.conftest import Environment, Serve, settings_of
from tests.integration.people import ADMIN, PUBLIC_URL
from tests.integration.shop import StoredEvent, add_events, embed_products

HOSTILE = "</text><script>alert(1)</script>"
OWN = "https://images.example/own.png"
SVG = "{http://www.w3.org/2000/svg}"


def create(products: httpx.Client, name: str, **fields: Any) -> dict[str, Any]:
    answer = products.post("/products", json={"name": name, "price": 1, "quantity": 5, **fields}, headers=ADMIN)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


def address(product: dict[str, Any]) -> str:
    return f"{PUBLIC_URL}/images/{product['id']}.svg"


def stored_image(product_id: int) -> str | None:
    (row,) = read("SELECT image_url FROM products WHERE id = :id", id=product_id)
    return row[0] if row[0] is None else str(row[0])


@pytest.fixture
def products(env: Environment, serve: Serve) -> httpx.Client:
    return serve("products")


@pytest.fixture
def web(products: httpx.Client, serve: Serve) -> httpx.Client:
    return serve("web")


def test_a_hostile_title_is_drawn_as_text(products: httpx.Client, web: httpx.Client) -> None:
    product = create(products, HOSTILE, category=HOSTILE.replace(">", "]"))
    answer = web.get(f"/images/{product['id']}.svg")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.headers["content-security-policy"] == "default-src 'none'"
    assert answer.headers["x-content-type-options"] == "nosniff"
    root = ElementTree.fromstring(answer.content)  # noqa: S314 — the answer of our own server
    assert root.tag == f"{SVG}svg"
    assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
    assert root.findtext(f"{SVG}title") == HOSTILE


def test_a_picture_is_cached_and_follows_the_title(products: httpx.Client, web: httpx.Client) -> None:
    product, bystander = create(products, "Tea mug"), create(products, "Tea mug")
    path = f"/images/{product['id']}.svg"
    first = web.get(path)
    assert first.headers["cache-control"] == "public, max-age=3600"
    assert web.get(path, headers={"If-None-Match": first.headers["etag"]}).status_code == 304
    assert web.get(f"/images/{bystander['id']}.svg").content == first.content
    products.patch(f"/products/{product['id']}", json={"name": "Tea pot"}, headers=ADMIN)
    changed = web.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.content != first.content
    assert web.get(f"/images/{bystander['id']}.svg").content == first.content


@pytest.mark.parametrize(
    ("path", "status"), [("/images/999.svg", 404), ("/images/1.png", 404), ("/images", 404), ("/images/1.svg/x", 422)]
)
def test_no_other_picture_is_served(web: httpx.Client, path: str, status: int) -> None:
    assert web.get(path).status_code == status


def test_a_hidden_product_has_no_picture(products: httpx.Client, web: httpx.Client) -> None:
    product = create(products, "Secret mug", is_active=False)
    assert web.get(f"/images/{product['id']}.svg").status_code == 404


def found(body: Any) -> Iterator[dict[str, Any]]:
    """Yield every product in an answer."""
    if isinstance(body, dict):
        if "image_url" in body:
            yield body
        for value in body.values():
            yield from found(value)
    elif isinstance(body, list):
        for value in body:
            yield from found(value)


def test_every_answer_names_the_pictures_of_products_without_an_image(products: httpx.Client, serve: Serve) -> None:
    drawn, own = create(products, "Tea mug"), create(products, "Tea pot", image_url=OWN)
    ids = [drawn["id"], own["id"]]
    add_events(StoredEvent(user, product) for user in ("ann", "bob") for product in ids)
    write("INSERT INTO product_stats (product_id, purchase_count) SELECT id, 1 FROM products")
    assert serve("popular").post("/", json={}).json()["products"] == 2
    embed_products()
    cart = serve("cart")
    for product_id in ids:
        cart.post("/cart/items?user_id=ann", json={"product_id": product_id, "quantity": 1})
        cart.put(f"/wishlist/{product_id}?user_id=ann")
    recommendations = serve("recommendations")
    requests = [
        (products, f"/products/{drawn['id']}"),
        (products, f"/products/{own['id']}"),
        (products, "/products"),
        (products, "/products?search=tea"),
        (cart, "/cart?user_id=ann"),
        (cart, "/wishlist?user_id=ann"),
        (recommendations, "/recommendations?user_id=cid"),
        (recommendations, "/popular"),
        (recommendations, "/recently-viewed?user_id=ann"),
        (recommendations, f"/similar-products?product_id={drawn['id']}"),
    ]
    # twice: the second answer may be a stored one
    for client, path in requests * 2:
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        shown = {product["id"]: product["image_url"] for product in found(answer.json())}
        assert shown, path
        assert shown.items() <= {drawn["id"]: address(drawn), own["id"]: OWN}.items(), path


def test_without_a_public_address_such_products_have_no_image(products: httpx.Client, serve: Serve) -> None:
    product = create(products, "Tea mug")
    assert product["image_url"] == address(product)
    with settings_of({"PUBLIC_URL": ""}):
        assert create(products, "Tea pot")["image_url"] is None


def test_what_was_read_may_be_written_back(products: httpx.Client) -> None:
    drawn, own = create(products, "Tea mug"), create(products, "Tea pot", image_url=OWN)
    for product, image in ((drawn, None), (own, OWN)):
        body = {"image_url": product["image_url"], "brand": "Brand"}
        answer = products.patch(f"/products/{product['id']}", json=body, headers=ADMIN)
        assert answer.status_code == 200, answer.text
        assert answer.json()["image_url"] == product["image_url"]
        assert stored_image(product["id"]) == image
    # an import of what a client listed, and a new product with the picture of another one
    row = {"external_id": drawn["external_id"], "name": "Tea mug", "price": 2, "image_url": address(drawn)}
    other = {"external_id": "other", "name": "Copy", "price": 2, "image_url": address(drawn)}
    lines = b"\n".join(map(orjson.dumps, (row, other)))
    answer = products.post("/products/import", content=lines, headers=ADMIN | {"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    assert read("SELECT count(*) FROM products WHERE image_url IS NOT NULL")[0][0] == 1


def test_the_audit_log_has_what_is_stored(products: httpx.Client, serve: Serve) -> None:
    drawn = create(products, "Tea mug")
    products.patch(f"/products/{drawn['id']}", json={"brand": "Brand"}, headers=ADMIN)
    products.patch(f"/products/{drawn['id']}", json={"category": "Kitchen"}, headers=ADMIN)
    rows = read("SELECT before->'image_url', after->'image_url' FROM audit_log ORDER BY id")
    assert len(rows) == 3
    assert {value for row in rows for value in row} == {None}
