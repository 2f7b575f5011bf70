"""Checkouts of a product that another session locks: few wait, the others are refused soon, and all come right."""

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import httpx
import pytest

from shared.clients import bulkhead, postgres, postgres_engine
from tests.integration.cart.conftest import Shopper, set_stock, stock
from tests.integration.cart.test_races import fill_carts
from tests.integration.conftest import Serve, settings_of

POOL: Final = 5
LOCKED, FREE = 1, 2
# that the lock is gone long before a statement or a wait is given up
PATIENCE: Final = {"DATABASE_POOL_SIZE": str(POOL), "DATABASE_TIMEOUT_S": "60", "STATEMENT_TIMEOUT_S": "90"}
# far more than STALLED_S, far less than the limits above
SOON_S: Final = 20.0


@pytest.fixture
def patient(shop: None, env: dict[str, str], serve: Serve) -> Iterator[httpx.Client]:
    with settings_of(env | PATIENCE):
        client = serve("cart")
        client.timeout = httpx.Timeout(120)
        yield client


def test_checkouts_behind_a_lock_are_refused_soon_and_come_right_afterwards(patient: httpx.Client) -> None:
    served = bulkhead.share_of(POOL) + bulkhead.STALLED_WAITERS
    names = [f"shopper-{number}" for number in range(served + 3)]
    set_stock(LOCKED, 100)
    fill_carts({name: {LOCKED: 1} for name in names} | {"bystander": {FREE: 1}})
    with ThreadPoolExecutor(len(names)) as pool:
        holder = postgres_engine.connect_apart()
        holder.execute_simple("BEGIN")
        holder.execute_simple(f"SELECT FROM products WHERE id = {LOCKED} FOR UPDATE")
        try:
            answers = [pool.submit(Shopper(patient, name).check_out, f"key-of-{name}") for name in names]
            refused = wait_for_refusals(answers, 3)
            assert [answer.status_code for answer in refused] == [503] * 3
            assert {answer.headers["Retry-After"] for answer in refused} == {"2"}
            # other routes of the same process are served
            assert Shopper(patient, "bystander").in_cart() == {FREE: 1}
            # exactly those beyond the route's connections and waiters were refused
            assert sum(future.done() for future in answers) == 3
        finally:
            holder.execute_simple("ROLLBACK")
            holder.close()
        statuses = {name: future.result(120).status_code for name, future in zip(names, answers, strict=True)}
    assert sorted(statuses.values()) == [201] * served + [503] * 3
    assert Shopper(patient, "bystander").check_out().status_code == 201
    for name in (name for name, status in statuses.items() if status == 503):
        # the first attempt's key is free, and its cart as it was
        assert Shopper(patient, name).check_out(f"key-of-{name}").status_code == 201
    assert (stock(LOCKED), stock(FREE)) == (100 - len(names), 4)
    orders, buyers = postgres.read("SELECT count(*), count(DISTINCT user_id) FROM orders")[0]
    assert orders == buyers == len(names) + 1


def wait_for_refusals(answers: list["Future[httpx.Response]"], count: int) -> list[httpx.Response]:
    """Return the answers that came while the lock is held, once there are ``count``."""
    began = time.monotonic()
    while len(done := [future.result() for future in answers if future.done()]) < count:
        assert time.monotonic() - began < SOON_S
        time.sleep(0.05)
    return done
