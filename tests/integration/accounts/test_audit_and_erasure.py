"""Erasure touches only the person's rows, and nobody changes the audit log."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from shared.clients import postgres
from shared.storage.operations import audit
from shared.storage.paging import Place
from tests.integration.people import PASSWORD, bearer, login, register
from tests.integration.shop import add_products
from tests.integration.tables import count_rows

Serve = Callable[[str], httpx.Client]
MACHINE = {"Authorization": "Bearer an-admin-token-for-tests"}
# ids that a client may choose, and that occur in the rows of others
TREACHEROUS = ["admin-token", "o", "command-line", "anonymous-1", "user", "erased", "POST /cart/items"]


def entries(security: bool | None = None) -> list[tuple[str, str, str]]:
    """Return actor, action and subject of every entry, oldest first."""
    page = audit.page(Place(100), security=security)[0]
    return [(entry.actor, entry.action, entry.subject) for entry in reversed(page)]


def stored(table: str, columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in postgres.read(f"SELECT {columns} FROM {table} ORDER BY 1")]


def test_erasing_merged_guests_with_treacherous_ids_touches_nothing_of_others(
    accounts: httpx.Client, serve: Serve
) -> None:
    add_products(3)
    admin, cart = serve("admin"), serve("cart")
    bystander, person = register(accounts, "bob"), register(accounts)
    assert admin.post("/admin/rules", json={"kind": "exclude", "brand": "Brand 1"}, headers=MACHINE).is_success
    with postgres.transaction() as connection:
        audit.record(connection, "command-line", "user.role", f"user:{bystander['user_id']}")
    for who in (bystander, person):
        answer = cart.post(
            "/cart/items", json={"product_id": 1, "quantity": 1}, headers=bearer(who) | {"Idempotency-Key": "key"}
        )
        assert answer.status_code == 201
    for guest in TREACHEROUS:
        assert cart.post("/cart/items", params={"user_id": guest}, json={"product_id": 2, "quantity": 1}).is_success
        assert login(accounts, guest_user_id=guest).status_code == 200
    of_others = "owner IS DISTINCT FROM cast(:person AS text)"
    before = count_rows("idempotency_keys", of_others, person=person["user_id"])
    audited, named = stored("audit_log", "*"), [entry for entry in entries() if person["user_id"] not in str(entry)]
    assert accounts.delete("/users/me", headers=bearer(login(accounts).json())).status_code == 204
    assert count_rows("users", "external_id = ANY (:ids)", ids=TREACHEROUS) == 0
    assert count_rows("idempotency_keys", of_others, person=person["user_id"]) == before == 1
    assert count_rows("idempotency_keys", "owner = :person", person=person["user_id"]) == 0
    assert stored("audit_log", "*")[: len(audited)] == audited
    assert [entry for entry in entries() if entry[0] != "erased"] == named
    assert ("erased", "login", "erased") in entries()


def test_a_user_named_like_a_machine_is_no_actor(accounts: httpx.Client, serve: Serve) -> None:
    add_products(2)
    admin, cart = serve("admin"), serve("cart")
    assert cart.post("/cart/items", params={"user_id": "admin-token"}, json={"product_id": 1, "quantity": 1}).is_success
    assert admin.post("/admin/rules", json={"kind": "exclude", "brand": "Brand 1"}, headers=MACHINE).is_success
    assert stored("audit_log", "actor, actor_user_id") == [("admin-token", None)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET actor = 'somebody else'",
        "UPDATE audit_log SET at = now() WHERE action = 'login'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_log WHERE action = 'login'",
        "DELETE FROM audit_log WHERE at < now() - interval '13 months' AND action <> 'login'",
        "TRUNCATE audit_log",
    ],
)
def test_the_database_refuses_to_change_the_audit_log(env: dict[str, str], statement: str) -> None:
    postgres.write(
        """INSERT INTO audit_log (actor, action, subject, at) VALUES ('admin-token', 'rule.add', '1', now()),
        ('anonymous', 'login', 'unknown', now() - interval '13 months' + interval '1 minute'),
        ('admin-token', 'rule.delete', '1', now() - interval '9 years')"""
    )
    before = stored("audit_log", "*")
    with pytest.raises(DBAPIError, match="append-only"):
        postgres.write(statement)
    assert stored("audit_log", "*") == before


def test_logins_failures_and_changes_are_security_events(accounts: httpx.Client, serve: Serve) -> None:
    tokens, admin = register(accounts), serve("admin")
    user_id = tokens["user_id"]
    subject = f"user:{user_id}"
    login(accounts)
    login(accounts, password="a guess at it")
    login(accounts, "unknown", "a guess at it")
    changed = {"email": "new@example.com", "password": PASSWORD}
    assert accounts.patch("/users/me", json=changed, headers=bearer(tokens)).status_code == 200
    assert accounts.patch("/users/me", json={"city": "Berlin"}, headers=bearer(tokens)).status_code == 200
    body = {"current_password": PASSWORD, "new_password": "two plums in the rain"}
    newest = accounts.post("/auth/password", json=body, headers=bearer(tokens)).json()
    following = accounts.post("/auth/refresh", json={"refresh_token": newest["refresh_token"]}).json()
    accounts.post("/auth/refresh", json={"refresh_token": following["refresh_token"]})
    accounts.post("/auth/refresh", json={"refresh_token": newest["refresh_token"]})
    admin.post("/admin/rules", json={"kind": "exclude", "brand": "Brand 1"}, headers=MACHINE)
    expected = [
        (user_id, "login", subject),
        ("anonymous", "login.failure", subject),
        ("anonymous", "login.failure", "unknown"),
        (user_id, "email.change", subject),
        (user_id, "password.change", subject),
        ("anonymous", "token.reuse", subject),
    ]
    assert entries(security=True) == expected
    assert entries(security=False) == [("admin-token", "rule.add", "1")]
    assert len(entries()) == len(expected) + 1
    found = admin.get("/admin/audit-log?security=true", headers=MACHINE).json()
    assert (found["total"], found["entries"][0]["action"]) == (len(expected), "token.reuse")


def test_no_password_and_no_email_is_in_the_audit_log(accounts: httpx.Client) -> None:
    register(accounts)
    login(accounts, password="a guess at it")
    login(accounts)
    text = postgres.read("SELECT string_agg(a::text, '') FROM audit_log a")[0][0]
    for secret in (PASSWORD, "a guess at it", "ada@example.com"):
        assert secret not in text


def test_an_export_has_the_account_s_events_and_not_another_s(accounts: httpx.Client) -> None:
    register(accounts, "bob")
    tokens = register(accounts)
    login(accounts, "bob")
    login(accounts, password="a guess at it")
    exported = accounts.get("/users/me/export", headers=bearer(tokens)).json()
    assert [event["action"] for event in exported["account_events"]] == ["login.failure"]
