"""Migration 0007 on a database that the previous release has filled, and still writes to."""

from collections.abc import Iterator
from typing import Final

import pytest

from shared.clients import postgres
from shared.storage.operations import audit, idempotency
from shared.storage.paging import Place
from shared.storage.people import erasure, refresh_tokens
from shared.storage.schema import migrations
from tests.integration.conftest import Running, settings_of

DATABASE = "filled_by_the_previous_release"
ADA, GUEST = "acct_ada", "POST /cart/items o'clock"
OLD_TOKEN = "a refresh token of the previous release"
# the statements of the previous release
AUDIT = "INSERT INTO audit_log (actor, action, subject) VALUES (:actor, :action, :subject)"
KEY = "INSERT INTO idempotency_keys (key, route, request_hash, status, body) VALUES ('k', :route, '', 200, '')"
TOKEN = """
INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
VALUES (:digest, :user_id, gen_random_uuid(), now() + interval '7 days')"""
OLD_ERASURE = """
UPDATE audit_log SET actor = 'erased' WHERE actor = ANY (:ids)"""


def fill(number: int) -> None:
    for actor, action, subject in (
        (ADA, "user.role", f"user:{GUEST}"),
        ("admin-token", "rule.add", "1"),
        ("admin-token", "user.export", "user:acct_gone"),
        ("erased", "user.role", "erased"),
    ):
        postgres.write(AUDIT, actor=actor, action=f"{action} {number}", subject=subject)


EVERY_MIGRATION: Final = migrations.available


@pytest.fixture
def filled(services: Running, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    services.administrate(f"CREATE DATABASE {DATABASE}")
    every = migrations.available()
    try:
        with settings_of(services.environment | {"DATABASE_URL": services.url(DATABASE)}):
            monkeypatch.setattr(migrations, "available", lambda: every[:6])
            migrations.migrate()
            postgres.write(
                "INSERT INTO users (external_id, is_anonymous, email, password_hash) VALUES (:a, false, 'a@b.cd', 'h')",
                a=ADA,
            )
            postgres.write("INSERT INTO users (external_id) VALUES (:g)", g=GUEST)
            user_id = postgres.read("SELECT id FROM users WHERE external_id = :a", a=ADA)[0][0]
            postgres.write(TOKEN, digest=refresh_tokens.digest(OLD_TOKEN), user_id=user_id)
            for route in (f"POST /cart/items {GUEST}", f"POST /cart/checkout {ADA}", "POST /products"):
                postgres.write(KEY, route=route)
            fill(1)
            monkeypatch.setattr(migrations, "available", lambda: every[:7])
            assert migrations.migrate() == ["0007_sessions"]
            yield
    finally:
        services.administrate(f"DROP DATABASE {DATABASE} WITH (FORCE)")


def named(number: int) -> list[tuple[str, str]]:
    page = audit.page(Place(100))[0]
    return sorted((one.actor, one.subject) for one in page if one.action.endswith(f" {number}"))


def test_entries_from_before_and_from_old_code_afterwards_name_users_by_their_rows(
    filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(2)
    expected = sorted([(ADA, f"user:{GUEST}"), ("admin-token", "1"), ("admin-token", "erased"), ("erased", "erased")])
    assert named(1) == named(2) == expected
    # the previous release's erasure finds nothing that it would have to change, and is not refused
    postgres.write(OLD_ERASURE, ids=[ADA, GUEST])
    # today's erasure knows tables of later migrations
    monkeypatch.setattr(migrations, "available", EVERY_MIGRATION)
    migrations.migrate()
    with postgres.transaction() as connection:
        assert erasure.erase(connection, ADA, "a@b.cd") == [ADA]
    erased = sorted([("erased", f"user:{GUEST}"), *(entry for entry in expected if entry[0] != ADA)])
    assert named(1) == named(2) == erased


def test_stored_answers_get_their_owners(filled: None) -> None:
    owners = postgres.read("SELECT route, owner FROM idempotency_keys ORDER BY route")
    assert [tuple(row) for row in owners] == [
        (f"POST /cart/checkout {ADA}", ADA),
        (f"POST /cart/items {GUEST}", GUEST),
        ("POST /products", None),
    ]
    # an answer that the previous release stored is still repeated
    assert isinstance(idempotency.claim("k", f"POST /cart/checkout {ADA}", b"", ADA), idempotency.Stored)


def test_nobody_is_logged_out(filled: None) -> None:
    session = refresh_tokens.rotate(OLD_TOKEN)
    assert (session.user_id, session.epoch) == (ADA, 0)
    # an access token of the previous release names neither epoch nor session
    refresh_tokens.require_session(ADA, "user", 0, None)
