"""Recommendations near the client without coordinates in the request: by the load balancer's header."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres, reset
from tests.integration.conftest import Serve
from tests.integration.shop import add_model, add_products

HEADER = "X-Client-Place"


@pytest.fixture
def shop(env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """Product 1 with two equal neighbours: 2 in Berlin and 3 in Munich."""
    monkeypatch.setenv("GEO_HEADER", HEADER)
    reset()
    add_products(5)
    add_model({1: {2: 0.9, 3: 0.9}}, {"serving": {"blend": 1.0}})
    postgres.write("UPDATE products SET latitude = 52.52, longitude = 13.405 WHERE id = 2")
    postgres.write("UPDATE products SET latitude = 48.137, longitude = 11.575 WHERE id = 3")
    return serve("recommendations")


def listed(shop: httpx.Client, place: str | None, **query: Any) -> list[dict[str, Any]]:
    headers = {} if place is None else {HEADER: place}
    parameters = {"user_id": "u", "product_id": 1, "k": 2} | query
    answer = shop.get("/recommendations", params=parameters, headers=headers)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["recommendations"]
    return found


def test_what_is_near_comes_first_with_its_distance_also_from_a_stored_answer(shop: httpx.Client) -> None:
    for _ in range(2):
        for place, first in (("52.52,13.405", 2), ("48.137,11.575", 3)):
            found = listed(shop, place)
            assert found[0]["id"] == first
            assert found[0]["distance_km"] < 12 < 400 < found[1]["distance_km"]
    for place in (None, "", "elsewhere"):
        assert "distance_km" not in listed(shop, place)[0]


def test_the_requests_own_coordinates_count_before_the_header(shop: httpx.Client) -> None:
    found = listed(shop, "48.137,11.575", latitude=52.52, longitude=13.405)
    assert (found[0]["id"], found[0]["distance_km"]) == (2, 0)
