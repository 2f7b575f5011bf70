"""Staff: what each role may, who gives roles, and that it is all written down."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.clients import postgres
from shared.storage.operations import audit
from shared.tokens import issue
from tests.integration.accounts.people import bearer, count, registered
from tests.integration.shop import add_products, deliver, event

Serve = Callable[[str], httpx.Client]
MACHINE = {"Authorization": "Bearer an-admin-token-for-tests"}


@pytest.fixture
def admin(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("admin")


@pytest.fixture
def people(serve: Serve, admin: httpx.Client) -> dict[str, dict[str, Any]]:
    """An account of each role."""
    accounts = serve("accounts")
    made = {role: registered(accounts, f"the-{role}") for role in ("user", "support", "admin")}
    for role, tokens in made.items():
        postgres.write("UPDATE users SET role = :r WHERE external_id = :u", r=role, u=tokens["user_id"])
        tokens["access_token"] = issue(tokens["user_id"], role)
    return made


def test_each_role_may_what_its_permissions_name(admin: httpx.Client, people: dict[str, dict[str, Any]]) -> None:
    expected = {
        "/admin/dashboard": {"support": 200, "admin": 200, "machine": 200},
        "/admin/users": {"support": 200, "admin": 200, "machine": 403},
        "/admin/audit-log": {"support": 403, "admin": 200, "machine": 200},
        "/admin/rules": {"support": 200, "admin": 200, "machine": 200},
    }
    for path, by_role in expected.items():
        assert admin.get(path, headers=bearer(people["user"])).status_code == 403
        for role, status in by_role.items():
            headers = MACHINE if role == "machine" else bearer(people[role])
            assert admin.get(path, headers=headers).status_code == status, (path, role)
    rule = {"kind": "exclude", "brand": "Brand 1"}
    assert admin.post("/admin/rules", json=rule, headers=bearer(people["support"])).status_code == 403
    assert admin.post("/admin/rules", json=rule, headers=bearer(people["admin"])).status_code == 201
    assert audit.page(10, 0)[0][0].actor == people["admin"]["user_id"]


def test_a_role_is_given_by_an_admin_and_written_down(
    admin: httpx.Client, serve: Serve, people: dict[str, dict[str, Any]]
) -> None:
    user, path = people["user"], f"/admin/users/{people['user']['user_id']}/role"
    for refused in (bearer(people["support"]), bearer(user), MACHINE):
        assert admin.put(path, json={"role": "admin"}, headers=refused).status_code == 403
    given = admin.put(path, json={"role": "support"}, headers=bearer(people["admin"]))
    assert given.json() == {"user_id": user["user_id"], "role": "support", "previous": "user"}
    refreshed = serve("accounts").post("/auth/refresh", json={"refresh_token": user["refresh_token"]}).json()
    assert admin.get("/admin/users", headers=bearer(refreshed)).status_code == 200
    entries = admin.get("/admin/audit-log", headers=bearer(people["admin"])).json()["entries"]
    assert [(one["action"], one["actor"], one["subject"], one["before"], one["after"]) for one in entries] == [
        ("user.role", people["admin"]["user_id"], f"user:{user['user_id']}", {"role": "user"}, {"role": "support"})
    ]


def test_the_last_admin_stays_one(admin: httpx.Client, people: dict[str, dict[str, Any]]) -> None:
    boss, path = bearer(people["admin"]), f"/admin/users/{people['admin']['user_id']}/role"
    assert admin.put(path, json={"role": "user"}, headers=boss).status_code == 409
    other = f"/admin/users/{people['support']['user_id']}/role"
    assert admin.put(other, json={"role": "admin"}, headers=boss).status_code == 200
    assert admin.put(path, json={"role": "user"}, headers=boss).status_code == 200


@pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": "guest"}, {"role": "admin", "more": 1}])
def test_a_role_that_there_is_not_is_a_problem(
    admin: httpx.Client, people: dict[str, dict[str, Any]], body: dict[str, Any]
) -> None:
    path = f"/admin/users/{people['user']['user_id']}/role"
    assert admin.put(path, json=body, headers=bearer(people["admin"])).status_code == 422
    assert (
        admin.put("/admin/users/acct_0/role", json={"role": "user"}, headers=bearer(people["admin"])).status_code == 404
    )
    assert (
        admin.put("/admin/users/17850/role", json={"role": "user"}, headers=bearer(people["admin"])).status_code == 404
    )


def test_staff_find_accounts_by_email_and_role(admin: httpx.Client, people: dict[str, dict[str, Any]]) -> None:
    headers = bearer(people["support"])
    found = admin.get("/admin/users?email=THE-USER@example.com", headers=headers).json()
    assert [one["user_id"] for one in found["users"]] == [people["user"]["user_id"]]
    assert "password_hash" not in found["users"][0]
    found = admin.get("/admin/users?role=admin", headers=headers).json()
    assert (found["total"], found["users"][0]["username"]) == (1, "the-admin")
    assert admin.get("/admin/users?page_size=2", headers=headers).json()["total_pages"] == 2


def test_an_admin_exports_and_erases_a_customer_of_the_shop_s_own(
    admin: httpx.Client, serve: Serve, people: dict[str, dict[str, Any]]
) -> None:
    add_products(3)
    deliver(serve("update_preferences"), "customer-4711", event(1))
    boss = bearer(people["admin"])
    exported = admin.get("/admin/users/customer-4711/export", headers=boss)
    assert len(exported.json()["events"]) == 1
    assert admin.delete("/admin/users/customer-4711", headers=boss).status_code == 204
    assert admin.delete("/admin/users/customer-4711", headers=boss).status_code == 404
    assert admin.get("/admin/users/customer-4711/export", headers=boss).status_code == 404
    assert count("users", "external_id = 'customer-4711'") == 0
    entries = [(entry.action, entry.subject) for entry in audit.page(10, 0)[0]]
    assert entries == [("user.erase", "erased"), ("user.export", "erased")]
    # the shop's own id is the shop's to give again
    deliver(serve("update_preferences"), "customer-4711", event(2))
    assert count("users", "external_id = 'customer-4711'") == 1
