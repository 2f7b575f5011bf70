"""The OpenAPI document describes the answers exactly."""

from typing import Any

import httpx
import pytest
from pydantic import BaseModel, ConfigDict

from functions.cart import schemas
from shared.clients.postgres import write
from tests.integration.cart.conftest import Shopper

# (method, path) with the statuses that can happen beside those that can happen to any request
STATUSES = {
    ("get", "/cart"): {200, 401, 403},
    ("delete", "/cart"): {200, 401, 403},
    ("post", "/cart/items"): {200, 201, 401, 403, 404, 409},
    ("patch", "/cart/items/{product_id}"): {200, 401, 403, 404, 409},
    ("delete", "/cart/items/{product_id}"): {200, 401, 403},
    ("post", "/cart/checkout"): {201, 401, 402, 403, 409},
    ("get", "/orders"): {200, 401, 403},
    ("get", "/orders/{order_id}"): {200, 401, 403, 404},
    ("post", "/orders/{order_id}/cancel"): {200, 401, 403, 404, 409},
    ("get", "/orders/{order_id}/state"): {200, 401, 403, 404},
    ("post", "/orders/{order_id}/state"): {200, 401, 403, 404, 409},
    ("patch", "/cart/items"): {200, 401, 403, 404, 409},
    ("delete", "/cart/items"): {200, 401, 403},
    ("get", "/wishlist"): {200, 401, 403},
    ("put", "/wishlist"): {200, 201, 401, 403, 404, 409},
    ("delete", "/wishlist"): {204, 401, 403},
    ("get", "/wishlist/{product_id}"): {200, 401, 403, 404},
    ("put", "/wishlist/{product_id}"): {200, 201, 401, 403, 404, 409},
    ("delete", "/wishlist/{product_id}"): {204, 401, 403},
}
ANY = {400, 408, 413, 415, 422, 429, 500, 503}


def assert_exactly(model: type[BaseModel], answer: httpx.Response) -> None:
    """Assert that the answer has exactly the model's fields, at any depth."""

    def compare(documented: Any, answered: Any, path: str) -> None:
        if isinstance(documented, BaseModel):
            assert set(answered) == set(type(documented).model_fields), path
            for name in answered:
                compare(getattr(documented, name), answered[name], f"{path}.{name}")
        elif isinstance(documented, list):
            for position, (documented_member, answered_member) in enumerate(zip(documented, answered, strict=True)):
                compare(documented_member, answered_member, f"{path}[{position}]")

    compare(model.model_validate(answer.json()), answer.json(), model.__name__)


def test_every_status_is_documented(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    statuses = {
        (method, path): {int(status) for status in operation["responses"]} - ANY
        for path, operations in paths.items()
        for method, operation in operations.items()
        if not path.startswith("/health")
    }
    assert statuses == STATUSES


def test_a_key_is_documented_as_required_for_a_checkout_only(client: httpx.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    required = {
        path: parameter["required"]
        for path, operations in paths.items()
        for parameter in operations.get("post", {}).get("parameters", [])
        if parameter["name"] == "Idempotency-Key"
    }
    assert required == {"/cart/items": False, "/cart/checkout": True}


def test_answers_have_exactly_the_documented_fields(ann: Shopper) -> None:
    ann.add(1, 2)
    ann.add(2)
    write("UPDATE products SET price = price + 1, quantity = 1 WHERE id = 1")
    assert_exactly(schemas.Cart, ann.ask("GET", "/cart"))
    ann.ask("DELETE", "/cart/items/1")
    assert_exactly(schemas.Order, ann.check_out())
    assert_exactly(schemas.OrderPage, ann.ask("GET", "/orders"))
    assert_exactly(schemas.WishlistItem, ann.ask("PUT", "/wishlist/3"))
    assert_exactly(schemas.WishlistPage, ann.ask("GET", "/wishlist"))


@pytest.mark.parametrize(
    "model", [schemas.NewCartItem, schemas.CartItemPatch, schemas.CheckoutRequest, schemas.OrderStateChange]
)
def test_every_request_refuses_unknown_fields_and_has_an_example(model: type[BaseModel]) -> None:
    config = ConfigDict(**model.model_config)
    assert config["extra"] == "forbid"
    examples = model.model_json_schema()["examples"]
    assert [model.model_validate(example) for example in examples]
