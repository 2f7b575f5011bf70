"""A user's segment is personal data: it is exported, follows a merge, and goes with the user."""

from typing import Any

import httpx
import pytest

from shared.clients import postgres
from tests.integration.conftest import Serve
from tests.integration.people import bearer, login, register
from tests.integration.tables import count_rows


def put(user_id: str, segment: int) -> None:
    postgres.write("INSERT INTO users (external_id) VALUES (:u) ON CONFLICT DO NOTHING", u=user_id)
    postgres.write(
        "INSERT INTO user_segments (user_id, segment_id) SELECT id, :s FROM users WHERE external_id = :u",
        u=user_id,
        s=segment,
    )


def segment_of(user_id: str) -> list[int]:
    rows = postgres.read(
        "SELECT segment_id FROM user_segments JOIN users ON id = user_id WHERE external_id = :u", u=user_id
    )
    return [row[0] for row in rows]


@pytest.fixture
def bystander(accounts: httpx.Client, serve: Serve) -> str:
    """Three segments, and a user of the first."""
    postgres.write(
        """INSERT INTO segments (id, name, size, joined, departed, purchases, revenue, profile)
           SELECT n, 'Segment ' || n, 1, 0, 0, 0, 0, '{}' FROM generate_series(1, 3) AS n"""
    )
    put("bystander", 1)
    return "bystander"


def test_the_export_names_the_users_own_segment(accounts: httpx.Client, bystander: str) -> None:
    tokens = register(accounts, "ada")
    assert accounts.get("/users/me/export", headers=bearer(tokens)).json()["segments"] == []
    put(tokens["user_id"], 2)
    exported = accounts.get("/users/me/export", headers=bearer(tokens)).json()["segments"]
    assert [(row["segment_id"], row["name"]) for row in exported] == [(2, "Segment 2")]


def test_erasure_removes_the_row_of_the_user_alone(accounts: httpx.Client, bystander: str) -> None:
    tokens = register(accounts, "ada")
    put(tokens["user_id"], 1)
    assert accounts.delete("/users/me", headers=bearer(tokens)).status_code == 204
    assert segment_of(bystander) == [1]
    assert count_rows("user_segments") == 1
    assert count_rows("segments") == 3


@pytest.mark.parametrize(("own", "expected"), [(None, [2]), (3, [3])])
def test_an_account_keeps_its_segment_or_takes_that_of_the_guest(
    accounts: httpx.Client, bystander: str, own: int | None, expected: list[int]
) -> None:
    tokens = register(accounts, "ada")
    guest: dict[str, Any] = accounts.post("/auth/guest").json()
    put(guest["user_id"], 2)
    if own is not None:
        put(tokens["user_id"], own)
    merged = login(accounts, "ada", guest_user_id=guest["user_id"])
    assert merged.status_code == 200, merged.text
    assert (segment_of(tokens["user_id"]), segment_of(guest["user_id"])) == (expected, [])
    assert segment_of(bystander) == [1]
