"""Every public route is served below /api/v1 too."""

from collections.abc import Iterator

import httpx
import pytest

from shared.manifest import manifest
from tests.integration.conftest import Environment, Server
from tests.integration.shop import add_products


@pytest.fixture
def shop(env: Environment) -> Iterator[httpx.Client]:
    """Every function behind one address, over ten products."""
    from local.apps import create
    from local.gateway import gateway

    add_products(10)
    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    ["/products/3", "/products?page_size=2", "/popular", "/recommendations?user_id=ann&k=3", "/cart?user_id=ann"],
)
def test_a_route_answers_under_both_paths_alike(shop: httpx.Client, path: str) -> None:
    # twice, so that the second comes from Redis where answers are stored
    for _ in range(2):
        plain, versioned = shop.get(path), shop.get(f"/api/v1{path}")
        assert plain.status_code == versioned.status_code == 200
        names = [name for name in plain.json() if name not in ("recommendation_id", "generated_at")]
        assert {name: plain.json()[name] for name in names} == {name: versioned.json()[name] for name in names}


def test_writes_and_preflights_are_served_too(shop: httpx.Client) -> None:
    event = {"user_id": "ann", "product_id": 1, "event_type": "view"}
    assert shop.post("/api/v1/events", json=event).status_code == 202
    headers = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
    assert shop.options("/api/v1/events", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["", "/nothing", "0/products", "products", "/_jobs/popular"])
def test_nothing_else_is_served_there(shop: httpx.Client, path: str) -> None:
    assert shop.get(f"/api/v1{path}").status_code == 404
