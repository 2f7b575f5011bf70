"""Access to personal data: every route of every function with no token and with a foreign, expired or forged token.

The routes come from the functions' descriptions, so new routes are included; open routes must be listed in ``OPEN``.
"""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import httpx
import jwt
import pytest

from shared.manifest import manifest
from tests.integration.people import ADMIN, bearer, register
from tests.integration.personal_requests import BODIES, FILLED, needed_parameters

# routes open to everybody, without personal data in the answer
OPEN = {
    ("GET", "/products/suggest"),
    ("GET", "/products/categories"),
    ("GET", "/products/{product_id}"),
    ("GET", "/trending"),
    ("GET", "/popular"),
    ("GET", "/images/{product_id}.svg"),
    ("GET", "/images/{product_id}/{name}"),
    # the token of the upload is the credential
    ("PUT", "/products/image-uploads"),
    ("GET", "/web/config.json"),
    ("POST", "/recommendations/feedback"),
    # it stores nothing, and needs a write key
    ("POST", "/debug/mp/collect"),
    # its credential is the signature
    ("POST", "/v1/medusa"),
    # routes that issue or revoke tokens
    ("POST", "/auth/guest"),
    ("POST", "/auth/register"),
    ("POST", "/auth/login"),
    ("POST", "/auth/refresh"),
    ("POST", "/auth/logout"),
    # the mailed link is the credential
    ("GET", "/auth/set-password"),
    ("POST", "/auth/set-password"),
    ("GET", "/auth/verify-email"),
    ("POST", "/auth/verify-email"),
    # it sends the link to the address that the request names
    ("GET", "/auth/password-reset"),
    ("POST", "/auth/password-reset"),
    ("GET", "/health"),
    ("GET", "/health/ready"),
}


@dataclass(frozen=True)
class Route:
    """A route as its function describes it."""

    method: str
    path: str
    schemes: frozenset[str]
    takes_user_id: bool
    needs: tuple[str, ...]

    @property
    def url(self) -> str:
        path = self.path
        for name, value in (FILLED | {"user_id": "somebody"}).items():
            path = path.replace("{" + name + "}", value)
        return path

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def described() -> list[Route]:
    routes = []
    for entry in manifest().of_kind("http"):
        document = import_module(f"functions.{entry.name}.main").app.openapi()
        for path, methods in document["paths"].items():
            for method, operation in methods.items():
                parameters = [parameter for parameter in operation.get("parameters", ()) if parameter["in"] == "query"]
                routes.append(
                    Route(
                        method.upper(),
                        path,
                        frozenset(scheme for requirement in operation.get("security", ()) for scheme in requirement),
                        any(parameter["name"] == "user_id" for parameter in parameters),
                        tuple(parameter["name"] for parameter in parameters if parameter["required"]),
                    )
                )
    return routes


ROUTES = described()
PERSONAL = [route for route in ROUTES if "token" in route.schemes]
STAFF = [route for route in ROUTES if "admin" in route.schemes]


def test_every_route_asks_for_a_token_or_is_known_to_be_open() -> None:
    unguarded = {(route.method, route.path) for route in ROUTES if not route.schemes}
    assert unguarded - OPEN == set()
    assert OPEN - unguarded == set()
    assert len(PERSONAL) > 15
    assert {route.path.split("/")[1] for route in STAFF} == {
        "admin",
        "orders",
        "products",
        "recommendations",
    }


@pytest.fixture(scope="module")
def shop(module_env: dict[str, str]) -> Iterator[httpx.Client]:
    """Every function behind one address."""
    from local.apps import create
    from local.gateway import gateway
    from tests.integration.conftest import Server

    with Server(gateway(manifest(), create)) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        yield client


@dataclass(frozen=True)
class People:
    """A victim, a stranger, and tokens that must not open the victim's data."""

    victim: dict[str, Any]
    stranger: dict[str, Any]
    tokens: dict[str, str | None]


@pytest.fixture(scope="module")
def people(shop: httpx.Client, module_env: dict[str, str]) -> People:
    """A victim and a stranger, both registered."""
    victim, stranger = register(shop, "victim"), register(shop, "stranger")
    # a publishable key opens nothing, so every request may have one; the function collect needs it as the write key
    key = shop.post("/admin/api-keys", json={"kind": "publishable", "name": "storefront"}, headers=ADMIN).json()["key"]
    shop.headers["X-API-Key"] = key
    kid, _, secret = module_env["TOKEN_KEYS"].partition(":")
    claims = jwt.decode(victim["access_token"], options={"verify_signature": False})
    late = claims | {"exp": int(time.time()) - 1}

    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return People(
        victim,
        stranger,
        {
            "none": None,
            "a stranger's": stranger["access_token"],
            "expired": jwt.encode(late, secret, "HS256", headers={"kid": kid}),
            "alg none": f"{part({'alg': 'none', 'typ': 'JWT', 'kid': kid})}.{part(claims)}.",
            "signed by another key": jwt.encode(claims, "x" * 32, "HS256", headers={"kid": kid}),
            "of another kid": jwt.encode(claims, secret, "HS256", headers={"kid": "other"}),
            "not a token": "nonsense",
        },
    )


TOKENS = ("none", "a stranger's", "expired", "alg none", "signed by another key", "of another kid", "not a token")


def ask(shop: httpx.Client, route: Route, token: str | None, user_id: str | None) -> httpx.Response:
    needed = needed_parameters(user_id or "somebody")
    params = {name: needed[name] for name in route.needs}
    if route.takes_user_id and user_id is not None:
        params["user_id"] = user_id
    body = BODIES[route.path](user_id or "somebody") if route.path in BODIES else {}
    headers = {} if token is None else bearer(token)
    return shop.request(
        route.method, route.url, params=params, headers=headers, json=None if route.method == "GET" else body
    )


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("route", PERSONAL, ids=str)
def test_an_account_s_data_needs_its_own_token(shop: httpx.Client, people: People, route: Route, kind: str) -> None:
    token, victim = people.tokens[kind], people.victim["user_id"]
    answer = ask(shop, route, token, victim)
    if route.path == "/events/batch" and answer.status_code == 202:
        # a batch authorises each event by itself: none was accepted
        assert answer.json()["accepted"] == 0
        assert answer.json()["rejected"][0]["problem"]["status"] in (401, 403)
        return
    if kind == "a stranger's" and not route.takes_user_id and route.path not in BODIES:
        # the request cannot name another user: the answer is the stranger's own
        assert victim not in answer.text
        assert "victim" not in answer.text
        return
    expected = 403 if kind == "a stranger's" else 401
    assert answer.status_code == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("www-authenticate" in answer.headers) == (expected == 401)


@pytest.mark.parametrize("kind", [kind for kind in TOKENS if kind not in ("none", "a stranger's")])
@pytest.mark.parametrize("route", PERSONAL, ids=str)
def test_a_bad_token_is_no_token_of_a_guest_either(shop: httpx.Client, people: People, route: Route, kind: str) -> None:
    answer = ask(shop, route, people.tokens[kind], "somebody")
    assert answer.status_code == 401, answer.text
    expected = "token-expired" if kind == "expired" else "invalid-token"
    assert answer.json()["type"] == f"urn:aisle:problem:{expected}"


@pytest.mark.parametrize("kind", TOKENS)
@pytest.mark.parametrize("route", STAFF, ids=str)
def test_a_shopper_is_no_staff(shop: httpx.Client, people: People, route: Route, kind: str) -> None:
    answer = ask(shop, route, people.tokens[kind], None)
    assert answer.status_code == (403 if kind in ("a stranger's", "not a token") else 401), answer.text


def test_a_stored_answer_is_given_to_its_account_only(shop: httpx.Client, people: People) -> None:
    from shared.clients import redis_sync

    url = f"/recommendations?user_id={people.victim['user_id']}&k=3"
    headers = bearer(people.victim)
    first, second = (shop.get(url, headers=headers) for _ in range(2))
    # no products: an empty answer is an answer, and is stored
    assert (first.status_code, second.status_code) == (200, 200)
    assert redis_sync.client().hlen(f"rec:{people.victim['user_id']}") > 0
    assert first.json()["recommendation_id"] == second.json()["recommendation_id"]
    for kind, token in people.tokens.items():
        answer = shop.get(url, headers={} if token is None else bearer(token))
        assert answer.status_code == (403 if kind == "a stranger's" else 401)
    # the token alone identifies the same user
    assert shop.get("/recommendations?k=3", headers=headers).json()["user_id"] == people.victim["user_id"]


def test_an_account_s_own_token_opens_everything_that_is_its_own(shop: httpx.Client, people: People) -> None:
    for route in PERSONAL:
        if (route.method, route.path) == ("DELETE", "/users/me"):
            continue
        answer = ask(shop, route, people.victim["access_token"], people.victim["user_id"])
        assert answer.status_code not in (401, 403), f"{route}: {answer.text}"
        assert answer.status_code < 500, f"{route}: {answer.text}"
