"""The credentials in the description are those that the code takes: each choice lets in, and nothing else does."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest

from shared import api_keys
from shared.clients import postgres
from shared.manifest import manifest
from shared.tokens import issue
from tests.integration.conftest import Environment, Server, settings_of
from tests.integration.people import register
from tests.integration.personal_requests import BODIES, FILLED, needed_parameters

REFUSALS = (401, 403)
Requirements = list[dict[str, list[str]]]


def operations() -> dict[str, dict[str, Any]]:
    """Return the operations of all functions by method and path."""
    return {
        f"{method.upper()} {path}": operation
        for entry in manifest().of_kind("http")
        for path, methods in import_module(f"functions.{entry.name}.main").app.openapi()["paths"].items()
        for method, operation in methods.items()
        if not path.startswith("/health")
    }


OPERATIONS = operations()


@pytest.fixture(scope="module")
def shop(module_env: Environment) -> Iterator[httpx.Client]:
    """Every function behind one address."""
    from local.apps import create
    from local.gateway import gateway

    with (
        settings_of({"RATE_LIMIT_PER_MINUTE": "0"}),
        Server(gateway(manifest(), create)) as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def boss(shop: httpx.Client) -> str:
    """The access token of an admin."""
    account = register(shop, "boss")
    postgres.write("UPDATE users SET role = 'admin' WHERE external_id = :id", id=account["user_id"])
    return issue(account["user_id"], "admin")


def account_of(shop: httpx.Client, route: str) -> tuple[str, str]:
    """Return the id and the access token of a new account: a route may erase it."""
    number = list(OPERATIONS).index(route)
    if route.partition(" ")[2].startswith(("/auth", "/users")):
        # these look the token's session up
        account = register(shop, f"person-{number}")
        return account["user_id"], account["access_token"]
    return f"acct_{number:032x}", issue(f"acct_{number:032x}", "user")


def send(shop: httpx.Client, route: str, user_id: str | None, headers: dict[str, str]) -> int:
    """Send a request that names a user, unless a token does; return the status of the answer."""
    method, _, described = route.partition(" ")
    query = {p["name"]: p for p in OPERATIONS[route].get("parameters", ()) if p["in"] == "query"}
    needed = needed_parameters(user_id or "browser-1") | {"q": "lamp", "token": "x"}
    params = {name: needed[name] for name, parameter in query.items() if parameter["required"]}
    if "link" in query and not headers:
        # it lets in, too, and no scheme of OpenAPI describes it
        params["link"] = "invented"
    if "user_id" in query and user_id is not None:
        params["user_id"] = user_id
    path = described
    ids = dict.fromkeys(("synonym_id", "feed_id", "import_id", "run_id"), "999")
    for name, value in (FILLED | ids).items():
        path = path.replace("{" + name + "}", value)
    body = None if method == "GET" else BODIES.get(described, lambda _user: {})(user_id or "browser-1")
    return shop.request(method, path, params=params, headers=headers, json=body).status_code


@pytest.mark.parametrize("route", OPERATIONS)
def test_a_request_without_a_credential_is_let_in_where_the_description_says_so(shop: httpx.Client, route: str) -> None:
    choices: Requirements = OPERATIONS[route].get("security", [{}])
    guest = shop.post("/auth/guest").json()["user_id"]
    refused = send(shop, route, guest, {}) == 401
    assert refused == ({} not in choices), choices


@pytest.mark.parametrize("route", [route for route in OPERATIONS if "security" in OPERATIONS[route]])
def test_each_described_credential_lets_in_and_no_other_does(shop: httpx.Client, boss: str, route: str) -> None:
    choices: Requirements = OPERATIONS[route]["security"]
    account, token = account_of(shop, route)
    headers = {
        "token": {"Authorization": f"Bearer {token}"},
        "key": {"X-API-Key": api_keys.create("secret")[1]},
        "admin": {"Authorization": f"Bearer {boss}"},
    }
    for choice in choices:
        if not choice and any(parameter["name"] == "link" for parameter in OPERATIONS[route].get("parameters", ())):
            # a link that was issued lets in; the invented one that send() names is refused
            continue
        sent = {name: value for scheme in choice for name, value in headers[scheme].items()}
        user_id = account if "token" in choice else "browser-1"
        assert send(shop, route, user_id, sent) not in REFUSALS, choice
    if {} in choices:
        return
    others = {"token", "key", "admin"} - {scheme for choice in choices if len(choice) == 1 for scheme in choice}
    # an admin is a user, too
    for scheme in others - ({"admin"} if {"token": []} in choices else set()):
        assert send(shop, route, "browser-1" if scheme == "key" else None, headers[scheme]) in REFUSALS, scheme
