"""The job that writes the recommendations of all active users."""

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from functions.admin import rules
from functions.admin.schemas.rules import RuleWrite
from jobs import user_recommendations
from shared.clients import postgres
from shared.clients.destinations import Folder
from shared.errors import InvalidRequest
from tests.integration.conftest import Serve, settings_of
from tests.integration.shop import StoredEvent, add_events, add_model, add_products

USERS = 7


@pytest.fixture(autouse=True)
def shop(env: object) -> None:
    """Twelve products, seven active users, and one who has not been there for long."""
    add_products(12)
    add_model({1: {2: 0.9, 3: 0.5}, 5: {6: 0.8, 2: 0.3}}, {"serving": {"blend": 1.0}})
    events = [StoredEvent(f"u{number}", 1 if number % 2 else 5, "view", 30 + number) for number in range(USERS)]
    add_events([*events, StoredEvent("gone", 1, "view", 24 * 100)])


def run(serve: Serve, folder: Path, **parameters: Any) -> httpx.Response:
    return serve("user_recommendations").post("/", json={"destination": str(folder)} | parameters)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of all files of the one day."""
    (day,) = folder.iterdir()
    files = sorted(day.iterdir())
    return pa.concat_tables([pq.read_table(file) for file in files]).to_pylist()


def test_every_active_user_has_the_answer_of_a_request(serve: Serve, tmp_path: Path) -> None:
    rules.create_rule("test", RuleWrite(kind="exclude", product_id=3))
    postgres.write("UPDATE products SET quantity = 0 WHERE id = 12")
    answer = run(serve, tmp_path, k=8)
    assert answer.status_code == 200, answer.text
    written = rows(tmp_path)
    assert answer.json().items() >= {"files": 1, "files_kept": 0, "users": USERS, "rows": len(written)}.items()
    client = serve("recommendations")
    for number in range(USERS):
        user = f"u{number}"
        single = client.get("/recommendations", params={"user_id": user, "k": 8, "in_stock": True}).json()
        expected = [(product["id"], product["score"], product["rank"]) for product in single["recommendations"]]
        found = [(row["product_id"], round(row["score"], 6), row["rank"]) for row in written if row["user_id"] == user]
        assert found == expected
        assert not {3, 12} & {product for product, _score, _rank in found}
    assert [row["external_id"] for row in written] == [f"SKU{row['product_id']}" for row in written]
    assert {row["user_id"] for row in written} == {f"u{number}" for number in range(USERS)}
    (day,) = tmp_path.iterdir()
    assert day.name == f"date={written[0]['updated_at']:%Y-%m-%d}"
    # what nobody was shown is not logged; the requests above were
    assert postgres.read("SELECT count(*) FROM recommendation_log")[0][0] == USERS


def test_products_that_are_sold_out_leave_no_gap(serve: Serve, tmp_path: Path) -> None:
    # of twelve products, each user has viewed one; five are left in stock for everybody, one of them pinned
    postgres.write("UPDATE products SET quantity = 0 WHERE id IN (2, 3, 4, 6, 7, 8)")
    rules.create_rule("test", RuleWrite(kind="pin", product_id=2, position=1))
    rules.create_rule("test", RuleWrite(kind="pin", product_id=9, position=2))
    assert run(serve, tmp_path, k=4).status_code == 200
    written = rows(tmp_path)
    assert len(written) == 4 * USERS
    assert not {2, 3, 4, 6, 7, 8} & {row["product_id"] for row in written}
    assert {row["rank"] for row in written if row["product_id"] == 9} == {2}
    (day,) = tmp_path.iterdir()
    for file in day.iterdir():
        file.unlink()
    assert run(serve, tmp_path, k=4, in_stock=False).status_code == 200
    assert {row["rank"] for row in rows(tmp_path) if row["product_id"] == 2} == {1}


def test_an_interrupted_run_goes_on_after_the_last_whole_file(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Folder.write

    def fail_at_the_third(self: Folder, name: str, content: bytes) -> None:
        if len(self.names()) == 2:
            raise InvalidRequest("destination: away")
        original(self, name, content)

    monkeypatch.setattr(Folder, "write", fail_at_the_third)
    assert run(serve, tmp_path, users_per_file=2).status_code == 422
    monkeypatch.undo()
    before = {row["user_id"]: row["updated_at"] for row in rows(tmp_path)}
    assert len(before) == 4
    # a file that was cut short is none
    (day,) = tmp_path.iterdir()
    (day / "part-000000000099-000000000100.parquet.part").write_bytes(b"PAR1")
    answer = run(serve, tmp_path, users_per_file=2)
    assert answer.json().items() >= {"files": 2, "files_kept": 2, "users": 3}.items()
    (day / "part-000000000099-000000000100.parquet.part").unlink()
    after = {row["user_id"]: row["updated_at"] for row in rows(tmp_path)}
    assert sorted(after) == [f"u{number}" for number in range(USERS)]
    assert {user: after[user] for user in before} == before
    again = run(serve, tmp_path, users_per_file=2)
    assert again.json().items() >= {"files": 0, "files_kept": 4, "users": 0}.items()


def test_users_are_active_from_the_first_moment_of_the_first_day(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Afternoon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Afternoon":
            return cls(2026, 3, 10, 15, 30, tzinfo=tz)

    monkeypatch.setattr(user_recommendations, "datetime", Afternoon)
    postgres.write("UPDATE events SET occurred_at = '2026-02-01T00:00:00Z'")
    for user, moment in (("u1", "2026-03-03T00:00:00Z"), ("u2", "2026-03-02T23:59:59.999999Z")):
        postgres.write(
            """UPDATE events SET occurred_at = cast(:moment AS timestamptz)
               WHERE user_id = (SELECT id FROM users WHERE external_id = :user)""",
            moment=moment,
            user=user,
        )
    assert run(serve, tmp_path, active_days=7).status_code == 200
    assert {row["user_id"] for row in rows(tmp_path)} == {"u1"}
    (day,) = tmp_path.iterdir()
    assert day.name == "date=2026-03-10"


def test_a_run_goes_on_after_the_file_that_begins_where_the_last_ended() -> None:
    names = ["part-000000000004-000000000009.parquet", "part-000000000000-000000000004.parquet.part", "other"]
    assert user_recommendations.find_end(names, 4) == 9
    # a file that was cut short is none, and one of later users leaves those before it to be written
    assert user_recommendations.find_end(names, 0) is None
    assert user_recommendations.find_end(names, 3) is None
    assert user_recommendations.find_end(names, 9) is None


def test_many_statements_give_the_users_in_order(serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_recommendations, "USERS_AT_ONCE", 2)
    assert run(serve, tmp_path, repeats="only").status_code == 200
    users = [row[0] for row in postgres.read("SELECT external_id FROM users WHERE external_id <> 'gone' ORDER BY id")]
    viewed = {f"u{number}": 1 if number % 2 else 5 for number in range(USERS)}
    written = [(row["user_id"], row["product_id"]) for row in rows(tmp_path)]
    assert written == [(user, viewed[user]) for user in users]


def test_a_destination_must_be_one_that_this_environment_writes_to(
    env: dict[str, str], serve: Serve, tmp_path: Path
) -> None:
    for destination in ("relative/folder", "https://example.com/x", "gs://bucket/x::file:///etc", "ftp://host/x"):
        answer = serve("user_recommendations").post("/", json={"destination": destination})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:invalid-request"), destination
        assert "destination" in answer.json()["detail"]
    (tmp_path / "file").write_text("no folder")
    assert run(serve, tmp_path / "file").status_code == 422
    with settings_of(env | {"ENVIRONMENT": "prod"}):
        assert "gs://" in run(serve, tmp_path / "new").json()["detail"]
    assert not (tmp_path / "new").exists()
