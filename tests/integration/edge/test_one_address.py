"""The edge answers every path of every public function as the gateway does, which serves each function as deployed."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx
import pytest

from shared.http.routes import all_routes
from shared.manifest import manifest, serving
from tests.integration.conftest import Environment, Server
from tests.integration.shop import add_products

ORIGIN = {"Origin": "https://shop.example"}
PREFLIGHT = ORIGIN | {"Access-Control-Request-Method": "POST"}
PAGE = {"Accept": "text/html"}
FILLED = {"product_id": "1", "external_id": "x", "token": "report-token-of-nobody", "path": "vendor/preact.js"}
PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
# what differs between two answers to the same request
VOLATILE = frozenset({"request_id", "generated_at", "recommendation_id", "timestamp", "shop_as"})
# how much of the client's minute is left, and whether an earlier request has stored the answer
CHANGING = frozenset({"date", "x-request-id", "ratelimit", "content-length", "etag", "server", "expires"})
COMPARED = ("content-type", "cache-control", "content-security-policy", "location", "allow", "ratelimit-policy")


@dataclass(frozen=True)
class Addresses:
    """The same functions behind the gateway and behind the edge."""

    gateway: httpx.Client
    edge: httpx.Client

    def ask(self, method: str, path: str, **options: Any) -> tuple[httpx.Response, httpx.Response]:
        """Send a request to both."""
        return self.gateway.request(method, path, **options), self.edge.request(method, path, **options)


@pytest.fixture(scope="module")
def addresses(module_env: Environment) -> Iterator[Addresses]:
    from local.apps import create
    from local.gateway import gateway

    add_products(10)
    with (
        Server(gateway(manifest(), create)) as separate,
        Server(create("edge")) as together,
        httpx.Client(base_url=separate.url, timeout=60) as first,
        httpx.Client(base_url=together.url, timeout=60) as second,
    ):
        for path in manifest().paths:
            second.get(path)
        wait_for_connections()
        yield Addresses(first, second)


def wait_for_connections() -> None:
    """Wait for the threads that connect to Pub/Sub once an application is imported: each test ends with its clients."""
    for thread in threading.enumerate():
        if thread.name == "connect-publisher" or thread.name.endswith("(_run)"):
            thread.join(60)


def routes() -> list[tuple[str, str]]:
    """Return method and path of every route of every public function, with values for the parameters of its path."""
    found = set()
    for entry in manifest().public_functions:
        for path, route in all_routes(import_module(f"functions.{entry.name}.main").app):
            if serving(manifest().paths, path) is None:
                continue  # each function's own health and description
            filled = PARAMETER.sub(lambda found: FILLED.get(found[1], "1"), path)
            found |= {(method, filled) for method in route.methods or ()}
    return sorted(found)


ROUTES = routes()
PATHS = sorted(manifest().paths)


def stable(value: Any) -> Any:
    """Return a JSON value without what differs between two answers."""
    if isinstance(value, dict):
        return {name: stable(inner) for name, inner in value.items() if name not in VOLATILE}
    return [stable(inner) for inner in value] if isinstance(value, list) else value


def shape(value: Any) -> Any:
    """Return the names and types of a JSON value."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__


def assert_alike(pair: tuple[httpx.Response, httpx.Response]) -> None:
    one, other = pair
    assert one.status_code == other.status_code, (one.text[:300], other.text[:300])
    names = [{name for name in answer.headers if name not in CHANGING} for answer in pair]
    assert names[0] == names[1]
    assert [one.headers.get(name) for name in COMPARED] == [other.headers.get(name) for name in COMPARED]
    if "json" not in one.headers.get("content-type", ""):
        assert one.content == other.content
    elif one.request.method in ("GET", "HEAD") or one.status_code >= 400:
        bodies = [stable(json.loads(answer.content or b"null")) for answer in pair]
        assert bodies[0] == bodies[1]
    else:
        bodies = [shape(json.loads(answer.content or b"null")) for answer in pair]
        assert bodies[0] == bodies[1]


def test_the_table_has_every_public_path() -> None:
    served = {serving(manifest().paths, path) for _method, path in ROUTES}
    assert served == {entry.name for entry in manifest().public_functions}
    assert len(ROUTES) > 100


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=[f"{method} {path}" for method, path in ROUTES])
def test_every_route_answers_alike(addresses: Addresses, method: str, path: str) -> None:
    body = {} if method in ("GET", "HEAD") else {"json": {}}
    assert_alike(addresses.ask(method, path, headers=ORIGIN | PAGE, **body))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_answers_alike_with_all_that_may_stand_around_it(addresses: Addresses, path: str) -> None:
    # the path / is no parent
    below = () if path == "/" else (f"{path}/", f"/api/v1{path}/", f"{path}/of-no-route")
    for asked in (path, f"/api/v1{path}", f"{path}?colour=red", *below):
        assert_alike(addresses.ask("GET", asked, headers=PAGE))
    assert_alike(addresses.ask("OPTIONS", path, headers=PREFLIGHT | PAGE))
    assert_alike(addresses.ask("DELETE", path, headers=PAGE))
    assert_alike(addresses.ask("HEAD", path, headers=PAGE))


@pytest.mark.parametrize("path", ["/productsale", "/nothing", "/products-of/1", "/_jobs/popular", "/api/v1/nothing"])
def test_what_no_function_serves_is_a_problem(addresses: Addresses, path: str) -> None:
    answer = addresses.edge.get(path)
    assert answer.status_code == 404
    assert answer.json()["type"] == "urn:aisle:problem:not-found"


def test_each_function_keeps_its_own_limits(addresses: Addresses) -> None:
    # 200 KiB: too much for an event, little for a batch of them
    event = {"user_id": "ann", "product_id": 1, "event_type": "view", "metadata": {"note": "x" * 1000}}
    large = {"events": [event | {"event_id": f"e{number}"} for number in range(180)]}
    refused = addresses.edge.post("/events", json=event | {"metadata": {"note": "x" * 200_000}})
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:aisle:problem:body-too-large")
    assert_alike(addresses.ask("POST", "/events/batch", json=large))
    while True:
        (popular, begun), (cart, _), (popular_again, _), (cart_again, ended) = (
            limit_of(addresses.edge.get(path)) for path in ("/popular", "/cart", "/popular", "/cart")
        )
        if ended <= begun:
            break  # all of them fell into one minute
    # requests to one function are not taken from another's
    assert (popular_again, cart_again) == (popular - 1, cart - 1)


def limit_of(answer: httpx.Response) -> tuple[int, int]:
    """Return how many more requests the client may send to the function, and in how many seconds its minute ends."""
    left, _, ends = answer.headers["ratelimit"].partition(";r=")[2].partition(";t=")
    return int(left), int(ends)


def test_its_health_is_that_of_everything_it_stands_for(addresses: Addresses) -> None:
    answer = addresses.edge.get("/health").json()
    assert (answer["status"], answer["service"]) == ("healthy", "edge")
    assert {name: answer[name] for name in ("database", "redis", "pubsub")} == dict.fromkeys(
        ("database", "redis", "pubsub"), "healthy"
    )
    ready = addresses.edge.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["postgres"]) == (503, True)  # no model is active
    assert addresses.edge.get("/api/v1/health").json()["service"] == "edge"
