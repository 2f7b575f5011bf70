"""Users of whom nothing is left are deleted by the job retention, and nobody else."""

from uuid import uuid4

import pytest

from shared.clients.postgres import execute, read, transaction, write
from shared.storage.people import idle_users
from shared.storage.people.idle_users import IDLE_DAYS
from shared.storage.shopping import shoppers
from tests.integration.conftest import Serve
from tests.integration.shop import add_plain_products

ADD = """
INSERT INTO users (external_id, created_at, last_seen_at)
VALUES (:name, now() - cast(:age AS interval), now() - cast(:age AS interval)) RETURNING id"""
OLD = f"{IDLE_DAYS} days 1 minute"
YOUNG = f"{IDLE_DAYS} days -1 minute"
ANCIENT = "13 months 1 minute"
# what keeps a user, whatever the user's age
KEEPING = {
    "event": """INSERT INTO events (event_id, user_id, product_id, event_type, occurred_at)
        VALUES (gen_random_uuid(), :id, 1, 'view', now() - interval '40 days')""",
    "order": """INSERT INTO orders (id, user_id, request_hash, state, total)
        VALUES (gen_random_uuid(), :id, '', 'cancelled', 1)""",
    "purchase": "INSERT INTO user_purchases VALUES (:id, 1, 1, now(), now())",
    "search": "INSERT INTO search_history (user_id, query) VALUES (:id, 'q')",
    "token": """INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
        VALUES (uuid_send(gen_random_uuid()), :id, gen_random_uuid(), now() + interval '1 minute')""",
    "account": """UPDATE users SET email = 'a@example.com', password_hash = 'h', is_anonymous = false WHERE id = :id""",
    "merged guest": """UPDATE users SET merged_at = now() - interval '40 days',
        merged_into = (SELECT id FROM users WHERE external_id = 'account') WHERE id = :id""",
}
# these keep a user as long as events are kept
WRITTEN = {
    "cart": "INSERT INTO cart_items VALUES (:id, 1, 1, 1, now())",
    "wishlist": "INSERT INTO wishlist_items VALUES (:id, 1)",
}
# these keep nobody
NOTHING = {
    "nothing": "",
    "preference": "INSERT INTO user_preferences VALUES (:id, 'tag', 't', 1, now())",
    "location": "UPDATE users SET latitude = 1, longitude = 1, city = 'Berlin' WHERE id = :id",
    "expired token": """INSERT INTO refresh_tokens (digest, user_id, family, expires_at)
        VALUES (uuid_send(gen_random_uuid()), :id, gen_random_uuid(), now() - interval '1 minute')""",
}


def add(name: str, age: str = OLD, sql: str = "") -> int:
    user_id = int(write(ADD, name=name, age=age)[0][0])
    if sql:
        write(sql, id=user_id)
    return user_id


def names() -> set[str]:
    return {row[0] for row in read("SELECT external_id FROM users")}


@pytest.fixture
def users(env: object) -> None:
    """Users of every kind, at both sides of the age from which they may go."""
    add_plain_products(1)
    add("account", OLD, KEEPING["account"])
    for name, sql in (KEEPING | WRITTEN | NOTHING).items():
        if name != "account":
            add(name, OLD, sql)
            add(f"ancient {name}", ANCIENT, sql)
            add(f"young {name}", YOUNG, sql)


def test_the_job_deletes_whom_nothing_is_left_of(users: None, serve: Serve) -> None:
    before = names()
    answer = serve("retention").post("/", json={})
    assert answer.status_code == 200, answer.text
    gone = {*NOTHING, *(f"ancient {name}" for name in (*NOTHING, *WRITTEN))}
    assert before - names() == gone
    assert answer.json()["idle_users_deleted"] == len(gone)
    # their rows go with them
    assert read("SELECT count(*) FROM user_preferences")[0][0] == 1
    assert read("SELECT count(*) FROM cart_items")[0][0] == 2
    assert serve("retention").post("/", json={}).json()["idle_users_deleted"] == 0


def test_a_user_who_was_seen_or_created_recently_stays(env: object) -> None:
    add("seen")
    add("created")
    add("neither")
    write("UPDATE users SET last_seen_at = now() WHERE external_id = 'seen'")
    write("UPDATE users SET created_at = now() WHERE external_id = 'created'")
    assert idle_users.delete_idle(13) == 1
    assert names() == {"seen", "created"}


def test_a_token_keeps_its_own_user_until_it_expires(env: object) -> None:
    # the job retention deletes expired tokens before it comes to the users; this must not rely on it
    add("expired", OLD, NOTHING["expired token"])
    add("valid", OLD, KEEPING["token"])
    add("neither")
    assert idle_users.delete_idle(13) == 2
    assert names() == {"valid"}
    assert read("SELECT count(*) FROM refresh_tokens")[0][0] == 1


def test_a_user_who_comes_back_meanwhile_stays(env: object) -> None:
    add_plain_products(1)
    add("back")
    add("idle")
    with transaction() as connection:
        user_id = shoppers.lock_shopper(connection, "back")
        # the row is locked, so the job leaves it to the next run instead of waiting
        assert idle_users.delete_idle(13) == 1
        execute(connection, "INSERT INTO cart_items VALUES (:id, 1, 1, 1, now())", {"id": user_id})
    assert names() == {"back"}
    assert idle_users.delete_idle(13) == 0
    assert read("SELECT count(*) FROM cart_items")[0][0] == 1


def test_more_users_than_a_batch_are_deleted(env: object, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = add("kept", OLD, KEEPING["search"])
    for _ in range(5):
        add(str(uuid4()))
    monkeypatch.setattr(idle_users, "LOCK", idle_users.LOCK.replace(f"LIMIT {idle_users.BATCH_ROWS}", "LIMIT 2"))
    assert idle_users.delete_idle(13) == 5
    assert [row[0] for row in read("SELECT id FROM users")] == [kept]
