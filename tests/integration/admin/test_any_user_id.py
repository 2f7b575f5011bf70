"""Staff reach every user, whatever id the shop gave: also ids that no path can carry."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.tokens import issue
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import bearer, register
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

# the first two are segments that clients and servers drop from a path; the others end a path, or begin another part
IDS = [".", "..", "a/b", "/", "a?b#c&d=e", "%2E%2E", "role", "export", "ann lee", "ünï", "acct_none"]
BYSTANDER = "customer-4711"


@pytest.fixture
def boss(env: dict[str, str], serve: Serve) -> dict[str, str]:
    """The header of an admin."""
    account = register(serve("accounts"), "the-boss")
    postgres.write("UPDATE users SET role = 'admin' WHERE external_id = :id", id=account["user_id"])
    return bearer(account | {"access_token": issue(account["user_id"], "admin")})


@pytest.fixture
def admin(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The administration, and a bystander with an event."""
    add_products()
    assert deliver(serve("update_preferences"), BYSTANDER, event(2)).status_code == 200
    return serve("admin")


@pytest.mark.parametrize("user_id", IDS)
def test_a_user_is_exported_and_erased_by_any_id(
    admin: httpx.Client, boss: dict[str, str], serve: Serve, user_id: str
) -> None:
    assert deliver(serve("update_preferences"), user_id, event(1)).status_code == 200
    others = admin.get("/admin/users/export", params={"user_id": BYSTANDER}, headers=boss).json()
    exported = admin.get("/admin/users/export", params={"user_id": user_id}, headers=boss)
    assert exported.status_code == 200, exported.text
    assert [entry["product_id"] for entry in exported.json()["events"]] == [1]
    assert admin.request("DELETE", "/admin/users", params={"user_id": user_id}, headers=boss).status_code == 204
    assert admin.get("/admin/users/export", params={"user_id": user_id}, headers=boss).status_code == 404
    # the bystander keeps what is theirs
    assert others["events"]
    kept = admin.get("/admin/users/export", params={"user_id": BYSTANDER}, headers=boss).json()
    assert kept["events"] == others["events"]


def test_a_path_with_dots_never_means_another_user(admin: httpx.Client, boss: dict[str, str], serve: Serve) -> None:
    for user_id in (".", ".."):
        assert deliver(serve("update_preferences"), user_id, event(1)).status_code == 200
    # what a client makes of /admin/users/. and /admin/users/./export
    answers: list[Any] = [
        admin.delete("/admin/users/", headers=boss),
        admin.get("/admin/users/export", headers=boss),
        admin.put("/admin/users/role", json={"role": "user"}, headers=boss),
    ]
    assert [answer.status_code for answer in answers] == [422] * 3
    assert {answer.json()["errors"][0]["field"] for answer in answers} == {"user_id"}
    assert count_rows("events") == 3


def test_scripts_that_name_a_user_in_the_path_still_work(
    admin: httpx.Client, boss: dict[str, str], serve: Serve
) -> None:
    account = register(serve("accounts"), "ann")["user_id"]
    changed = admin.put(f"/admin/users/{account}/role", json={"role": "support"}, headers=boss)
    assert (changed.status_code, changed.json()["role"]) == (200, "support")
    assert admin.get(f"/admin/users/{account}/export", headers=boss).status_code == 200
    assert admin.delete(f"/admin/users/{account}", headers=boss).status_code == 204
    assert admin.delete(f"/admin/users/{account}", headers=boss).status_code == 404
    assert admin.get(f"/admin/users/{BYSTANDER}/export", headers=boss).status_code == 200
