"""A merge waits for messages that are being stored, and never in a circle with one."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from shared.clients import postgres
from shared.clients.postgres import execute, transaction
from shared.event_origin import VOUCHED, Origin
from shared.storage.events import ingestion
from shared.storage.people import accounts, erasure, merging
from tests.integration.deliveries import event
from tests.integration.shop import add_products, now

WAITING = """SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'"""
BROWSER = Origin(client="c")


@pytest.fixture(autouse=True)
def shop(env: dict[str, str]) -> None:
    """An account, whose row is older than those of its guest and of a bystander."""
    add_products()
    postgres.write("INSERT INTO users (external_id, is_anonymous) VALUES ('acct_1', false)")
    postgres.write(
        """INSERT INTO users (external_id, merged_into, merged_at)
           SELECT 'guest-1', id, cast(:at AS timestamptz) FROM users WHERE external_id = 'acct_1'""",
        at=now() + timedelta(hours=1),
    )


def account() -> int:
    return int(postgres.read("SELECT id FROM users WHERE external_id = 'acct_1'")[0][0])


def as_stored(*events: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        sent | {"position": position, "occurred_at": sent["timestamp"], "quantity": 1}
        for position, sent in enumerate(events)
    ]


def wait_for(waiting: int) -> None:
    """Wait until so many statements wait for a lock."""
    for _ in range(500):
        if int(postgres.read(WAITING)[0][0]) >= waiting:
            return
        time.sleep(0.02)
    raise AssertionError("nothing waits")


def merge() -> bool:
    with transaction() as connection:
        return merging.merge(connection, "guest-1", account(), "acct_1").merged


def log_in() -> bool:
    """Do what a login with a guest does: lock both, and merge."""
    with transaction() as connection:
        accounts.lock(connection, "acct_1", "guest-1")
        return merging.merge(connection, "guest-1", account(), "acct_1").merged


def merge_users() -> bool:
    with transaction() as connection:
        return merging.merge_users(connection, "guest-1", "acct_1").merged


def erase() -> bool:
    with transaction() as connection:
        return bool(erasure.erase(connection, "acct_1", None))


@pytest.mark.parametrize("work", [merge, log_in, merge_users, erase])
def test_an_event_of_a_guest_that_is_being_stored_and_a_merge_end_both(work: Callable[[], bool]) -> None:
    # the event comes before the merge of its guest, so it goes to the account: its foreign keys read that row
    bought = as_stored(event(1, "purchase", metadata={"order_id": "A-1"}))
    postgres.write(
        """INSERT INTO user_purchases (user_id, product_id, purchase_count, first_at, last_at)
           VALUES (:a, 1, 1, now(), now())""",
        a=account(),
    )
    with ThreadPoolExecutor(2) as pool:
        with transaction() as connection:
            # holds the message back in the middle of its statement, when it has locked the guest's row
            execute(connection, "UPDATE user_purchases SET last_at = now() WHERE user_id = :a", {"a": account()})
            message: Future[Any] = pool.submit(ingestion.store, "m1", "guest-1", bought, published_at=now())
            wait_for(1)
            merged = pool.submit(work)
            wait_for(2)
        assert message.result(timeout=20).new == 1
        assert merged.result(timeout=20)
    owner = postgres.read("SELECT u.external_id FROM events e JOIN users u ON u.id = e.user_id")[0][0]
    assert owner == "acct_1" if work is not erase else str(owner).startswith(erasure.ERASED_PREFIX)


def test_what_vouches_for_a_guest_s_events_waits_for_their_merge() -> None:
    postgres.write("UPDATE users SET merged_into = NULL, merged_at = NULL")
    views = as_stored(*(event(1, "view", ago=timedelta(minutes=n)) for n in range(3)))
    ingestion.store("m1", "guest-1", views, BROWSER)
    ingestion.store("m2", "bob", as_stored(event(1), event(1)), BROWSER)
    with ThreadPoolExecutor(1) as pool:
        with transaction() as connection:
            merging.merge(connection, "guest-1", account(), "acct_1")
            vouching = pool.submit(ingestion.store, "m3", "guest-1", views, VOUCHED)
            wait_for(1)
        assert vouching.result(timeout=20).new == 0
    rows = postgres.read(
        """SELECT u.external_id, count(*) FILTER (WHERE e.counted) FROM events e JOIN users u ON u.id = e.user_id
           GROUP BY 1 ORDER BY 1"""
    )
    assert [tuple(row) for row in rows] == [("acct_1", 3), ("bob", 1)]
