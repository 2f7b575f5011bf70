"""Segments are replaced while users are erased and merged."""

from typing import Any

from shared.clients import postgres
from shared.storage.recommending import segments


def row(segment: int, **more: Any) -> dict[str, Any]:
    figures = {"name": "Buyers", "size": 2, "joined": 2, "departed": 0, "purchases": 0, "revenue": 0, "profile": {}}
    return {"id": segment} | figures | more


def replace(rows: list[dict[str, Any]], members: dict[int, int]) -> int:
    with postgres.transaction() as connection:
        return segments.replace(connection, rows, (b"%d\t%d\n" % member for member in members.items()))


def members() -> dict[int, int]:
    return {row[0]: row[1] for row in postgres.read("SELECT user_id, segment_id FROM user_segments")}


def test_a_user_who_was_erased_or_merged_meanwhile_is_left_out(env: object) -> None:
    users = [
        int(postgres.write("INSERT INTO users (external_id) VALUES (:u) RETURNING id", u=name)[0][0])
        for name in ("guest_1", "account", "bystander")
    ]
    guest, account, bystander = users
    erased = max(users) + 1
    postgres.write("UPDATE users SET merged_into = :a, merged_at = now() WHERE id = :g", a=account, g=guest)
    replace([row(7)], {guest: 7, erased: 7, bystander: 7})
    assert members() == {bystander: 7}


def test_a_segment_ends_once_and_comes_back_under_its_id(env: object) -> None:
    (user,) = postgres.write("INSERT INTO users (external_id) VALUES ('u') RETURNING id")[0]
    assert replace([row(7), row(8)], {user: 7}) == 0
    assert replace([row(8)], {}) == 1
    assert replace([row(8)], {}) == 0
    by_id = {segment["id"]: segment for segment in segments.list_segments()}
    assert by_id[7]["departed"] == 2
    assert by_id[7]["ended_at"] is not None
    assert by_id[8]["ended_at"] is None
    assert members() == {}
    replace([row(7), row(8)], {user: 8})
    assert all(segment["ended_at"] is None for segment in segments.list_segments())
    assert members() == {user: 8}
