"""POST /users/merge: ids of the shop's own become one user, once, and only by who may."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import httpx
import pytest

from shared.clients import postgres, redis_sync
from shared.domain.events import uuid7
from shared.storage.people import merging
from tests.integration.conftest import Serve
from tests.integration.deliveries import deliver, event
from tests.integration.local.pubsub.client import wait_until
from tests.integration.people import ADMIN, bearer, register
from tests.integration.shop import add_products

WAITING: Final = """
SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@pytest.fixture
def accounts(env: dict[str, str], serve: Serve) -> httpx.Client:
    """The accounts function over ten products."""
    add_products()
    return serve("accounts")


@pytest.fixture
def secret(accounts: httpx.Client, serve: Serve) -> dict[str, str]:
    """The header of the shop's server."""
    key = serve("admin").post("/admin/api-keys", json={"kind": "secret", "name": "shop"}, headers=ADMIN).json()["key"]
    return {"X-API-Key": key}


def owners() -> list[tuple[str, int]]:
    rows = postgres.read("SELECT external_id, product_id FROM events JOIN users u ON u.id = user_id ORDER BY 2, 1")
    return [tuple(row) for row in rows]


def merge(accounts: httpx.Client, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return accounts.post("/users/merge", json=body, headers=headers)


def test_a_merge_moves_everything_once_and_what_came_since(
    accounts: httpx.Client, serve: Serve, secret: dict[str, str]
) -> None:
    apply = serve("update_preferences")
    for user, product in (("visitor-1", 1), ("customer-1", 2), ("visitor-2", 3)):
        deliver(apply, user, event(product, "purchase"))
    for _ in range(2):
        answer = merge(accounts, secret, **{"from": "visitor-1", "to": "customer-1"})
        assert (answer.status_code, answer.json()["merged"]) == (200, True)
    assert owners() == [("customer-1", 1), ("customer-1", 2), ("visitor-2", 3)]
    # published after the merge, so it is the visitor's until the next one
    deliver(apply, "visitor-1", event(4, event_id=str(uuid7())), publishTime="2999-01-01T00:00:00Z")
    assert ("visitor-1", 4) in owners()
    assert merge(accounts, secret, **{"from": "visitor-1", "to": "customer-1"}).status_code == 200
    assert owners() == [("customer-1", 1), ("customer-1", 2), ("visitor-2", 3), ("customer-1", 4)]
    bought = postgres.read(
        "SELECT external_id, product_id FROM user_purchases JOIN users u ON u.id = user_id ORDER BY 2"
    )
    assert [tuple(row) for row in bought] == [("customer-1", 1), ("customer-1", 2), ("visitor-2", 3)]


def test_merges_follow_each_other(accounts: httpx.Client, serve: Serve, secret: dict[str, str]) -> None:
    apply = serve("update_preferences")
    deliver(apply, "a", event(1))
    assert merge(accounts, secret, **{"from": "a", "to": "b"}).status_code == 200
    assert merge(accounts, secret, **{"from": "b", "to": "c"}).status_code == 200
    assert owners() == [("c", 1)]
    # they are one user already, from either end
    for names in (("a", "c"), ("c", "a"), ("a", "b"), ("b", "a"), ("a", "a")):
        answer = merge(accounts, secret, **dict(zip(("from", "to"), names, strict=True)))
        assert (answer.status_code, answer.json()["merged"]) == (200, True), names
    # into what an id stands for
    deliver(apply, "d", event(2))
    assert merge(accounts, secret, **{"from": "d", "to": "a"}).status_code == 200
    assert owners() == [("c", 1), ("c", 2)]
    answer = merge(accounts, secret, **{"from": "a", "to": "e"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:aisle:problem:conflict")
    assert owners() == [("c", 1), ("c", 2)]


def test_a_merge_drops_the_answers_of_the_user_whom_an_id_stands_for(
    accounts: httpx.Client, serve: Serve, secret: dict[str, str]
) -> None:
    apply = serve("update_preferences")
    deliver(apply, "a", event(1))
    assert merge(accounts, secret, **{"from": "a", "to": "b"}).status_code == 200
    for user in ("a", "b", "d", "bystander"):
        redis_sync.client().hset(f"rec:{user}", "k=1", b"0\nstale")
    assert merge(accounts, secret, **{"from": "d", "to": "a"}).status_code == 200
    kept = [user for user in ("a", "b", "d", "bystander") if redis_sync.client().exists(f"rec:{user}")]
    assert kept == ["bystander"]


def test_a_merge_locks_users_in_the_order_of_their_rows(accounts: httpx.Client) -> None:
    # the row of z is the earlier one, so whoever locks both has z first
    for user in ("z", "a", "bystander"):
        postgres.write("INSERT INTO users (external_id) VALUES (:user)", user=user)
    lock = "SELECT id FROM users WHERE external_id = :user FOR UPDATE"
    with ThreadPoolExecutor(1) as pool:
        with postgres.transaction() as connection:
            postgres.execute(connection, lock, {"user": "z"})
            merged = pool.submit(_merge_rows, "a", "z")
            wait_until(lambda: postgres.read(WAITING), awaited="the merge waits for a lock")
            postgres.execute(connection, "SET LOCAL lock_timeout = '2s'")
            for user in ("a", "bystander"):
                postgres.execute(connection, lock, {"user": user})
        assert merged.result(timeout=20).account_id == "z"


def _merge_rows(from_id: str, to_id: str) -> merging.Merge:
    with postgres.transaction() as connection:
        return merging.merge_users(connection, from_id, to_id)


def test_only_who_has_both_sides_or_the_secret_key_may_merge(
    accounts: httpx.Client, serve: Serve, secret: dict[str, str]
) -> None:
    deliver(serve("update_preferences"), "visitor-1", event(1))
    account = register(accounts, "ann")
    guest = accounts.post("/auth/guest").json()
    publishable = serve("admin").post("/admin/api-keys", json={"kind": "publishable", "name": "web"}, headers=ADMIN)
    names = {"from": "visitor-1", "to": "customer-1"}
    assert merge(accounts, **names).status_code == 401
    assert merge(accounts, {"X-API-Key": publishable.json()["key"]}, **names).status_code == 401
    assert merge(accounts, ADMIN, **names).status_code == 401
    own = {"from": guest["user_id"], "to": account["user_id"]}
    assert merge(accounts, bearer(account), **own).status_code == 403
    assert merge(accounts, bearer(guest), **own).status_code == 403
    assert merge(accounts, bearer(guest), **own, from_token=account["access_token"]).status_code == 403
    assert owners() == [("visitor-1", 1)]
    assert merge(accounts, bearer(account), **own, from_token=guest["access_token"]).status_code == 200
    # an access token is no proof once its session has ended
    left, kept = (accounts.post("/auth/guest").json() for _ in range(2))
    accounts.post("/auth/logout", json={"refresh_token": left["refresh_token"]})
    for tokens, status in ((left, 401), (kept, 200)):
        sides = {"from": tokens["user_id"], "to": account["user_id"]}
        assert merge(accounts, bearer(account), **sides, from_token=tokens["access_token"]).status_code == status
    # an account is nobody's guest
    other = register(accounts, "bea")
    assert merge(accounts, secret, **{"from": account["user_id"], "to": other["user_id"]}).status_code == 409
    assert merge(accounts, secret, **{"from": "undefined", "to": "customer-1"}).status_code == 422


def test_merges_of_the_same_users_at_the_same_time_end(accounts: httpx.Client, secret: dict[str, str]) -> None:
    names = [f"visitor-{number}" for number in range(6)]
    # each pair in both directions, and chains of them
    pairs = [(one, other) for one in names for other in names if one != other] * 2

    def status(pair: tuple[str, str]) -> int:
        return merge(accounts, secret, **{"from": pair[0], "to": pair[1]}).status_code

    with ThreadPoolExecutor(8) as threads:
        statuses = set(threads.map(status, pairs))
    # a busy machine may let one wait too long for a connection (503); a deadlock is a 500
    assert 200 in statuses
    assert statuses <= {200, 409, 503}
    assert merge(accounts, secret, **{"from": "visitor-7", "to": "customer-7"}).status_code == 200
    # an id that stands for another stands for a person
    chains = "SELECT u.external_id FROM users u JOIN users p ON p.id = u.merged_into WHERE p.merged_into IS NOT NULL"
    assert postgres.read(chains) == []


def test_an_account_that_does_not_exist_takes_nothing(accounts: httpx.Client, secret: dict[str, str]) -> None:
    answer = merge(accounts, secret, **{"from": "visitor-1", "to": "acct_" + "0" * 32})
    assert (answer.status_code, answer.json()["detail"][:3]) == (409, "to:")
    assert postgres.read("SELECT external_id FROM users WHERE external_id LIKE 'acct%'") == []
    account = register(accounts)["user_id"]
    assert merge(accounts, secret, **{"from": "visitor-1", "to": account}).status_code == 200
