"""While the database cannot serve, whatever the reason, /recommendations has popular products and never a 500."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from shared.clients.postgres import execute, read, transaction, write
from shared.storage.answers import popular_ranking
from tests.integration.conftest import Serve, settings_of
from tests.integration.shop import add_products

# the second statement of an answer writes its row of the log
FAIL = """
CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$"""
TRIGGER = "CREATE TRIGGER fail BEFORE INSERT ON recommendation_log FOR EACH ROW EXECUTE FUNCTION fail()"
POPULAR = [(7, 3, b'{"id":7}'), (8, 9, b'{"id":8}')]


@pytest.fixture
def client(env: dict[str, str], serve: Serve) -> Iterator[httpx.Client]:
    add_products(12)
    with settings_of(env | {"STATEMENT_TIMEOUT_S": "1"}):
        assert popular_ranking.replace(POPULAR)
        yield serve("recommendations")


def assert_popular(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["strategy"]) == (200, "popular")
    assert [entry["id"] for entry in answer.json()["recommendations"]] == [8, 7]


@pytest.mark.parametrize("state", ["53100", "53200", "55P03", "40P01", "57014", "58030"])
def test_a_server_in_trouble_gives_popular_products(client: httpx.Client, state: str) -> None:
    write(FAIL.format(state=state))
    write(TRIGGER)
    assert_popular(client.get("/recommendations?user_id=u1"))
    write("DROP TRIGGER fail ON recommendation_log")
    # nothing of the outage is stored, and another user was not concerned
    for user_id in ("u1", "u2"):
        assert client.get(f"/recommendations?user_id={user_id}").json()["strategy"] == "trending"


def test_a_lock_that_lasts_gives_popular_products(client: httpx.Client) -> None:
    locked, unlock = Event(), Event()

    def hold() -> None:
        with transaction(statement_timeout_s=0) as connection:
            execute(connection, "LOCK TABLE products IN ACCESS EXCLUSIVE MODE")
            locked.set()
            unlock.wait(60)

    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(hold)
        assert locked.wait(30)
        try:
            assert_popular(client.get("/recommendations?user_id=u1"))
            # without a ranking to fall back to it is a 503, with the time to wait
            slow = client.get("/similar-products?product_id=1")
            assert (slow.status_code, slow.json()["type"]) == (503, "urn:aisle:problem:statement-timeout")
            assert int(slow.headers["Retry-After"]) > 0
        finally:
            unlock.set()
        held.result(30)
    assert read("SELECT 1")
    assert client.get("/recommendations?user_id=u1").json()["strategy"] == "trending"
