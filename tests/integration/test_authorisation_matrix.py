"""Route × kind of id × credential, as in the cloud: what every route with a user answers to every caller.

The routes come from the functions' descriptions, so that a route added later is in the matrix. The right answers are
those of the table in docs/architecture.md, written out here a second time.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any

import httpx
import jwt
import pytest

from shared import api_keys, clients
from shared.manifest import manifest
from shared.tokens import issue
from tests.integration.conftest import Environment
from tests.integration.people import ADMIN_TOKEN, register
from tests.integration.personal_requests import BODIES, FILLED, needed_parameters


@dataclass(frozen=True)
class Route:
    """A route as its function describes it."""

    function: str
    method: str
    path: str
    takes_user_id: bool
    required: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def personal_routes() -> list[Route]:
    """Return every route that takes a user's credential."""
    routes = []
    for entry in manifest().of_kind("http"):
        document = import_module(f"functions.{entry.name}.main").app.openapi()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                if not any("token" in scheme for scheme in operation.get("security", ())):
                    continue
                query = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
                names = {parameter["name"] for parameter in query}
                required = tuple(parameter["name"] for parameter in query if parameter["required"])
                routes.append(Route(entry.name, method.upper(), path, "user_id" in names, required))
    return routes


def send(
    shop: httpx.Client, route: Route, user_id: str, headers: dict[str, str], more: dict[str, str]
) -> httpx.Response:
    """Send a request that names the user wherever the route takes one; ``more`` are further query parameters."""
    needed = needed_parameters(user_id)
    params = {name: needed[name] for name in route.required} | more
    if route.takes_user_id:
        params["user_id"] = user_id
    path = route.path
    for name, value in (FILLED | {"user_id": "17850"}).items():
        path = path.replace("{" + name + "}", value)
    body = None if route.method == "GET" else BODIES.get(route.path, lambda _user_id: {})(user_id)
    return shop.request(route.method, path, params=params, headers=headers, json=body)


PERSONAL = personal_routes()
KINDS = ("account", "guest", "shop")
# routes of an account's login, where no user can be named
LOGIN = {("PATCH", "/users/me"), ("POST", "/auth/password"), ("POST", "/auth/verification")}
EVENTS = {"/events", "/events/batch", "/track"}
# routes of other collectors' calls, which need a write key whatever else a request has
COLLECT = {route.path for route in PERSONAL if route.function == "collect"} - EVENTS
CREDENTIALS = (
    "none",
    "its token",
    "a stranger's token",
    "expired token",
    "forged token",
    "publishable key",
    "publishable key in the URL",
    "secret key",
    "secret key and Origin",
    "secret key in the URL",
    "altered key",
    "admin token",
)
REFUSED = {
    "a stranger's token": 403,
    "expired token": 401,
    "forged token": 401,
    "secret key and Origin": 403,
    "secret key in the URL": 403,
    "altered key": 401,
}


@pytest.fixture(scope="module")
def shop(module_env: Environment) -> Iterator[httpx.Client]:
    """Every function behind one address, with the shop's ids not trusted."""
    from local.apps import create
    from local.gateway import gateway
    from tests.integration.conftest import Server, settings_of

    with (
        settings_of({"TRUST_SHOP_IDS": "false"}),
        Server(gateway(manifest(), create)) as server,
        httpx.Client(base_url=server.url, timeout=30) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings of the functions, which each test forgets."""
    monkeypatch.setenv("TRUST_SHOP_IDS", "false")
    clients.reset()


@pytest.fixture(scope="module")
def ids(shop: httpx.Client) -> dict[str, str]:
    """A user of each kind, and a stranger."""
    shop_id = "17850"
    event = {"user_id": shop_id, "product_id": 1, "event_type": "view"}
    assert shop.post("/events", json=event).status_code == 202
    return {
        "account": register(shop, "victim")["user_id"],
        "guest": shop.post("/auth/guest").json()["user_id"],
        "shop": shop_id,
        "stranger": register(shop, "stranger")["user_id"],
    }


@pytest.fixture(scope="module")
def keys(module_env: Environment) -> dict[str, str]:
    """One key of each kind, and one whose last digit is altered."""
    texts = {kind: api_keys.create(kind)[1] for kind in ("publishable", "secret")}
    secret = texts["secret"]
    return texts | {"altered": secret[:-1] + ("0" if secret[-1] != "0" else "1")}


def request_of(name: str, user_id: str, stranger: str, keys: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the headers and the query parameters of a credential."""
    claims = {"iss": "aisle", "sub": user_id, "role": "user", "type": "access", "iat": 0, "jti": "x"}
    tokens = {
        "its token": lambda: issue(user_id, "guest" if user_id.startswith("guest_") else "user"),
        "a stranger's token": lambda: issue(stranger, "user"),
        "expired token": lambda: _signed(claims | {"exp": int(time.time()) - 1}),
        "forged token": lambda: jwt.encode(claims | {"exp": 2**40}, "x" * 32, "HS256", headers={"kid": "local"}),
        "admin token": lambda: ADMIN_TOKEN,
    }
    if name in tokens:
        return {"Authorization": f"Bearer {tokens[name]()}"}, {}
    requests: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "none": ({}, {}),
        "publishable key": ({"X-API-Key": keys["publishable"]}, {}),
        "publishable key in the URL": ({}, {"key": keys["publishable"]}),
        "secret key": ({"X-API-Key": keys["secret"]}, {}),
        "secret key and Origin": ({"X-API-Key": keys["secret"], "Origin": "https://shop.example"}, {}),
        "secret key in the URL": ({}, {"key": keys["secret"]}),
        "altered key": ({"X-API-Key": keys["altered"]}, {}),
    }
    return requests[name]


def _signed(claims: dict[str, Any]) -> str:
    from shared.settings import settings

    key_id, secret = next(iter(settings().keys_by_id.items()))
    return jwt.encode(claims, secret, "HS256", headers={"kid": key_id})


def expected(route: Route, kind: str, name: str) -> int | None:
    """Return the status of the refusal; None where the caller is let in."""
    if route.path in COLLECT:
        if name in ("expired token", "forged token", "secret key and Origin", "secret key in the URL", "altered key"):
            return REFUSED[name]
        if name == "secret key" or (kind != "account" and name in ("publishable key", "publishable key in the URL")):
            return None
        return 401
    if route.path == "/users/merge" and name not in (*REFUSED, "its token", "secret key"):
        return 401
    if name == "a stranger's token" and not route.takes_user_id and route.path not in {*EVENTS, "/users/merge"}:
        # no way to name anybody else: the answer is the stranger's own
        return None
    if name in REFUSED:
        return REFUSED[name]
    if name == "its token":
        return 403 if (route.method, route.path) in LOGIN and kind != "account" else None
    if (route.method, route.path) in LOGIN:
        return 401
    if name == "secret key":
        return None
    if route.path in EVENTS:
        return 401 if kind == "account" else None
    if route.path.startswith("/users/me"):
        return 401
    return None if kind == "guest" else 401


def is_erasing(route: Route, kind: str, name: str) -> bool:
    """Whether a cell would erase a user whom the others need: tests/integration/test_api_keys.py erases its own."""
    return (route.method, route.path) == ("DELETE", "/users/me") and expected(route, kind, name) is None


CELLS = [cell for cell in product(PERSONAL, KINDS, CREDENTIALS) if not is_erasing(*cell)]


def test_the_matrix_has_every_personal_route() -> None:
    assert len(PERSONAL) > 25
    assert {route.path.split("/")[1] for route in PERSONAL} >= {"cart", "orders", "wishlist", "users", "events"}
    assert len(CELLS) == len(PERSONAL) * len(KINDS) * len(CREDENTIALS) - 6


@pytest.mark.parametrize(("route", "kind", "name"), CELLS, ids=str)
def test_each_cell(
    shop: httpx.Client, ids: dict[str, str], keys: dict[str, str], route: Route, kind: str, name: str
) -> None:
    headers, params = request_of(name, ids[kind], ids["stranger"], keys)
    answer = send(shop, route, ids[kind], headers, params)
    status = expected(route, kind, name)
    if route.path == "/events/batch" and answer.status_code == 202:
        # each event is judged alone
        rejected = [entry["problem"]["status"] for entry in answer.json()["rejected"]]
        assert rejected == ([] if status is None else [status])
    elif status is None:
        user_is_missing = answer.status_code == 401 and "no longer exists" in answer.text
        assert answer.status_code not in (401, 403) or user_is_missing, answer.text
        assert answer.status_code < 500, answer.text
    else:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
    if status is not None:
        assert keys["secret"] not in answer.text


RIGHT = ("none", "its token", "publishable key", "publishable key in the URL", "secret key")


@pytest.mark.parametrize(("kind", "name"), list(product(KINDS, RIGHT)))
def test_reading_the_catalog_needs_nothing(
    shop: httpx.Client, ids: dict[str, str], keys: dict[str, str], kind: str, name: str
) -> None:
    headers, params = request_of(name, ids[kind], ids["stranger"], keys)
    for path in ("/products", "/products/categories", "/trending", "/popular"):
        assert shop.get(path, headers=headers, params=params).status_code == 200, path
