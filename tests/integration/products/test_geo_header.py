"""Pages of products by distance for requests without coordinates: by the load balancer's header, if it is trusted."""

import httpx
import pytest

from shared.clients import reset
from tests.integration.conftest import Serve
from tests.integration.people import as_admin

BERLIN, MUNICH = (52.52, 13.405), (48.137, 11.575)
HEADER = "X-Client-Place"


@pytest.fixture
def client(env: dict[str, str], serve: Serve, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    """The products function behind a load balancer, over two products with a place and one without."""
    monkeypatch.setenv("GEO_HEADER", HEADER)
    reset()
    return filled(serve)


@pytest.fixture
def unbalanced(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The same without a load balancer."""
    return filled(serve)


def filled(serve: Serve) -> httpx.Client:
    client = as_admin(serve("products"))
    for name, (latitude, longitude) in {"b": BERLIN, "m": MUNICH}.items():
        body = {"external_id": name, "name": name, "price": 1, "latitude": latitude, "longitude": longitude}
        assert client.post("/products", json=body).status_code == 201
    assert client.post("/products", json={"external_id": "n", "name": "n", "price": 1}).status_code == 201
    return client


def test_distances_are_from_where_the_load_balancer_saw_the_client(client: httpx.Client) -> None:
    for place, order in (("52.52,13.405", ["b", "m", "n"]), ("48.137,11.575", ["m", "b", "n"])):
        answer = client.get("/products", params={"sort": "distance"}, headers={HEADER: place})
        listed = answer.json()["products"]
        assert [product["external_id"] for product in listed] == order
        assert listed[0]["distance_km"] < 12 < 400 < listed[1]["distance_km"]
        assert listed[2]["distance_km"] is None
        # a cache in front would give the next client this client's distances
        assert answer.headers["cache-control"] == "private, no-cache"
    near = client.get("/api/v1/products", params={"max_distance_km": 50}, headers={HEADER: "48.137,11.575"}).json()
    assert [product["external_id"] for product in near["products"]] == ["m"]


def test_the_requests_own_coordinates_count_before_the_header(client: httpx.Client) -> None:
    query = {"sort": "distance", "latitude": 52.52, "longitude": 13.405}
    answer = client.get("/products", params=query, headers={HEADER: "48.137,11.575"})
    assert answer.json()["products"][0] | {"distance_km": 0} == answer.json()["products"][0]
    assert answer.headers["cache-control"] == "public, max-age=5"


def test_pages_that_need_no_place_are_the_same_for_everybody(client: httpx.Client) -> None:
    answer = client.get("/products", headers={HEADER: "48.137,11.575"})
    assert {product.get("distance_km") for product in answer.json()["products"]} == {None}
    assert answer.headers["cache-control"] == "public, max-age=5"


@pytest.mark.parametrize("place", ["", "elsewhere", "91,0"])
def test_an_unknown_place_is_none(client: httpx.Client, place: str) -> None:
    assert client.get("/products", params={"sort": "distance"}, headers={HEADER: place}).status_code == 422


def test_without_a_load_balancer_a_clients_header_says_nothing(unbalanced: httpx.Client) -> None:
    query = {"sort": "distance"}
    assert unbalanced.get("/products", params=query, headers={HEADER: "48.137,11.575"}).status_code == 422
