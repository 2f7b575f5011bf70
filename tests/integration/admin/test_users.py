"""Staff: the permissions of each role, and changes of roles in the audit log."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.storage.operations import audit
from shared.storage.paging import Place
from shared.tokens import issue
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.people import ADMIN, bearer, login, register
from tests.integration.shop import add_products
from tests.integration.tables import count_rows


@pytest.fixture
def admin(env: dict[str, str], serve: Serve) -> httpx.Client:
    return serve("admin")


@pytest.fixture
def people(serve: Serve, admin: httpx.Client) -> dict[str, dict[str, Any]]:
    """An account of each role."""
    accounts = serve("accounts")
    tokens_by_role = {role: register(accounts, f"the-{role}") for role in ("user", "support", "admin")}
    for role, tokens in tokens_by_role.items():
        postgres.write("UPDATE users SET role = :r WHERE external_id = :u", r=role, u=tokens["user_id"])
        tokens["access_token"] = issue(tokens["user_id"], role)
    return tokens_by_role


def test_each_role_has_its_permissions_and_no_others(admin: httpx.Client, people: dict[str, dict[str, Any]]) -> None:
    expected = {
        "/admin/dashboard": {"support": 200, "admin": 200, "machine": 200},
        "/admin/users": {"support": 200, "admin": 200, "machine": 403},
        "/admin/audit-log": {"support": 403, "admin": 200, "machine": 200},
        "/admin/rules": {"support": 200, "admin": 200, "machine": 200},
    }
    for path, by_role in expected.items():
        assert admin.get(path, headers=bearer(people["user"])).status_code == 403
        for role, status in by_role.items():
            headers = ADMIN if role == "machine" else bearer(people[role])
            assert admin.get(path, headers=headers).status_code == status, (path, role)
    rule = {"kind": "exclude", "brand": "Brand 1"}
    assert admin.post("/admin/rules", json=rule, headers=bearer(people["support"])).status_code == 403
    assert admin.post("/admin/rules", json=rule, headers=bearer(people["admin"])).status_code == 201
    assert audit.page(Place(10))[0][0].actor == people["admin"]["user_id"]


def test_an_admin_changes_a_role_and_the_change_is_in_the_audit_log(
    admin: httpx.Client, serve: Serve, people: dict[str, dict[str, Any]]
) -> None:
    user, path = people["user"], f"/admin/users/{people['user']['user_id']}/role"
    for refused in (bearer(people["support"]), bearer(user), ADMIN):
        assert admin.put(path, json={"role": "admin"}, headers=refused).status_code == 403
    answer = admin.put(path, json={"role": "support"}, headers=bearer(people["admin"]))
    change = answer.json()
    assert (change["user_id"], change["role"], change["previous"]) == (user["user_id"], "support", "user")
    assert (change["email_verified"], change["mailed"]) == (False, False)
    accounts = serve("accounts")
    assert accounts.post("/auth/refresh", json={"refresh_token": user["refresh_token"]}).status_code == 401
    token = parse_qs(urlsplit(change["link"]).query)["token"][0]
    new = {"token": token, "new_password": "three plums in the rain"}
    assert accounts.post("/auth/set-password", json=new).status_code == 204
    support = login(accounts, "the-user", new["new_password"]).json()
    assert admin.get("/admin/users", headers=bearer(support)).status_code == 200
    entries = admin.get("/admin/audit-log", headers=bearer(people["admin"])).json()["entries"][2:]
    assert [
        (entry["action"], entry["actor"], entry["subject"], entry["before"], entry["after"]) for entry in entries
    ] == [("user.role", people["admin"]["user_id"], f"user:{user['user_id']}", {"role": "user"}, {"role": "support"})]


def test_the_last_admin_cannot_lose_the_role(admin: httpx.Client, people: dict[str, dict[str, Any]]) -> None:
    boss, path = bearer(people["admin"]), f"/admin/users/{people['admin']['user_id']}/role"
    assert admin.put(path, json={"role": "user"}, headers=boss).status_code == 409
    support_path = f"/admin/users/{people['support']['user_id']}/role"
    assert admin.put(support_path, json={"role": "admin"}, headers=boss).status_code == 200
    assert admin.put(path, json={"role": "user"}, headers=boss).status_code == 200


@pytest.mark.parametrize("body", [{}, {"role": "owner"}, {"role": "guest"}, {"role": "admin", "more": 1}])
def test_an_unknown_role_or_account_is_a_problem(
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
    page = admin.get("/admin/users?email=THE-USER@example.com", headers=headers).json()
    assert [user["user_id"] for user in page["users"]] == [people["user"]["user_id"]]
    assert "password_hash" not in page["users"][0]
    page = admin.get("/admin/users?role=admin", headers=headers).json()
    assert (page["total"], page["users"][0]["username"]) == (1, "the-admin")
    assert admin.get("/admin/users?page_size=2", headers=headers).json()["total_pages"] == 2


def test_an_admin_exports_and_erases_a_customer_of_the_shop_s_own(
    admin: httpx.Client, serve: Serve, people: dict[str, dict[str, Any]]
) -> None:
    add_products(3)
    deliver(serve("update_preferences"), "customer-4711", event(1))
    boss = bearer(people["admin"])
    exported = admin.get("/admin/users/customer-4711/export", headers=boss)
    assert len(exported.json()["events"]) == 1
    for user in ("customer-4711", "bystander"):
        redis_sync.client().hset(f"rec:{user}", "k=1", b"0\nstored")
    assert admin.delete("/admin/users/customer-4711", headers=boss).status_code == 204
    assert [redis_sync.client().exists(f"rec:{user}") for user in ("customer-4711", "bystander")] == [0, 1]
    assert admin.delete("/admin/users/customer-4711", headers=boss).status_code == 404
    assert admin.get("/admin/users/customer-4711/export", headers=boss).status_code == 404
    assert count_rows("users", "external_id = 'customer-4711'") == 0
    entries = [(entry.action, entry.subject) for entry in audit.page(Place(10))[0]]
    assert entries == [("user.erase", "erased"), ("user.export", "erased")]
    # the shop's own id is the shop's to give again
    deliver(serve("update_preferences"), "customer-4711", event(2))
    assert count_rows("users", "external_id = 'customer-4711'") == 1
