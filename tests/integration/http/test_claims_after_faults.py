"""A fault of the database during a request with an Idempotency-Key: the key is free again as soon as the fault ends."""

import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from sqlalchemy import create_engine, text
from starlette.responses import Response

from local.chaos.proxy import Proxy
from shared.clients.postgres import read, transaction, write
from shared.clients.postgres_engine import BREAKER_S
from shared.errors import AppError, DatabaseUnavailable, IdempotencyInProgress
from shared.http.idempotency import MARGIN_S, Finish, once
from shared.storage.operations import idempotency
from shared.storage.operations.idempotency import CLAIM_S, Claim
from tests.faulty_proxy import in_front_of
from tests.integration.conftest import settings_of
from tests.integration.shop import add_products

Serve = Callable[[str], httpx.Client]
# within which a request after a fault succeeds
SOON_S = 10.0


@pytest.fixture
def proxy(env: dict[str, str]) -> Iterator[Proxy]:
    """A proxy in front of this process's database, whose silence is noticed after a second."""
    with in_front_of(env["DATABASE_URL"]) as (proxy, url):
        settings = {"DATABASE_URL": url, "STATEMENT_TIMEOUT_S": "2", "DATABASE_TIMEOUT_S": "2"}
        with settings_of(env | settings):
            yield proxy


@pytest.fixture
def claims(env: dict[str, str]) -> Iterator[Callable[[], list[str]]]:
    """The keys with a claim and no answer, read past the proxy."""
    direct = create_engine(env["DATABASE_URL"], isolation_level="AUTOCOMMIT", connect_args={"ssl_context": False})

    def read_claims() -> list[str]:
        with direct.connect() as connection:
            rows = connection.execute(text("SELECT key FROM idempotency_keys WHERE status IS NULL ORDER BY key"))
            return [str(row[0]) for row in rows]

    yield read_claims
    direct.dispose()


def until(condition: Callable[[], bool]) -> None:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < SOON_S
        time.sleep(0.1)


def done(finish: Finish) -> Response:
    with transaction() as connection:
        answer = Response(b"done")
        finish(connection, answer)
    return answer


def test_a_claim_that_could_not_be_released_is_released_once_the_database_is_back(
    proxy: Proxy, claims: Callable[[], list[str]]
) -> None:
    bystander = idempotency.claim("bystander", "POST /x", b"hash")
    assert isinstance(bystander, Claim)

    def work(_finish: Finish) -> Response:
        proxy.refuse()
        write("SELECT 1")
        raise AssertionError("the database is away")

    with pytest.raises(DatabaseUnavailable):
        once("k", "POST /x", b"hash", work)
    assert sorted(claims()) == ["bystander", "k"]
    proxy.heal()
    # without any request, as another instance may get the next one
    until(lambda: claims() == ["bystander"])
    assert once("k", "POST /x", b"hash", done).body == b"done"
    with pytest.raises(IdempotencyInProgress):
        idempotency.claim("bystander", "POST /x", b"hash")


def test_the_next_request_releases_the_claim_itself(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    # the thread does nothing, as on an instance without processor time between requests
    monkeypatch.setattr(idempotency.UNRELEASED.again, "pause_s", 3600.0)

    def work(_finish: Finish) -> Response:
        proxy.refuse()
        write("SELECT 1")
        raise AssertionError("the database is away")

    with pytest.raises(DatabaseUnavailable):
        once("k", "POST /x", b"hash", work)
    proxy.heal()
    time.sleep(BREAKER_S)
    assert once("k", "POST /x", b"hash", done).body == b"done"


def test_a_claim_whose_answer_was_lost_is_released(proxy: Proxy, claims: Callable[[], list[str]]) -> None:
    # prepares the statement, so that the next claim is one question and one answer
    assert isinstance(idempotency.claim("bystander", "POST /x", b"hash"), Claim)
    proxy.lose_answers()
    with pytest.raises(DatabaseUnavailable):
        idempotency.claim("k", "POST /x", b"hash")
    assert claims() == ["bystander", "k"]
    proxy.heal()
    until(lambda: claims() == ["bystander"])


def test_a_checkout_during_a_blip_is_repeated_without_a_conflict(
    proxy: Proxy, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    from shared.payments import fake

    add_products(3)
    cart = serve("cart")
    ann, headers = {"user_id": "ann"}, {"Idempotency-Key": "order-1"}
    assert cart.post("/cart/items", params=ann, json={"product_id": 1, "quantity": 2}).status_code == 201
    charge = fake.Fake.charge

    def charge_and_lose_the_database(*arguments: object, **options: object) -> None:
        proxy.refuse()
        return charge(*arguments, **options)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(fake.Fake, "charge", charge_and_lose_the_database)
    failed = cart.post("/cart/checkout", params=ann, headers=headers)
    assert failed.status_code == 503, failed.text
    assert int(failed.headers["Retry-After"]) > 0
    monkeypatch.setattr(fake.Fake, "charge", charge)
    proxy.heal()
    began = time.monotonic()
    while (answer := cart.post("/cart/checkout", params=ann, headers=headers)).status_code == 503:
        assert time.monotonic() - began < SOON_S
        time.sleep(0.3)
    # never 409: what came before is the pause of the breaker
    assert answer.status_code == 201, answer.text
    assert read("SELECT count(*) FROM orders")[0][0] == 1
    assert [row[0] for row in read("SELECT quantity FROM products ORDER BY id")] == [3, 5, 5]


@pytest.mark.parametrize(("work_s", "longest_s"), [(3.0, 3.0), (None, 2.0), (CLAIM_S, CLAIM_S)])
def test_a_claim_carries_the_longest_time_of_its_work(proxy: Proxy, work_s: float | None, longest_s: float) -> None:
    taken_over = []

    def die(_finish: Finish) -> Response:
        for age, free in ((longest_s + MARGIN_S - 1, False), (longest_s + MARGIN_S + 1, True)):
            write("UPDATE idempotency_keys SET created_at = clock_timestamp() - make_interval(secs => :age)", age=age)
            try:
                taken_over.append((free, isinstance(idempotency.claim("k", "POST /x", b"hash"), Claim)))
            except IdempotencyInProgress:
                taken_over.append((free, False))
        raise AppError("gave up")

    with pytest.raises(AppError, match="gave up"):
        once("k", "POST /x", b"hash", die, work_s=work_s)
    assert taken_over == [(False, False), (True, True)]


def test_a_release_that_fails_in_another_way_holds_up_no_other(proxy: Proxy, claims: Callable[[], list[str]]) -> None:
    first, second, bystander = (idempotency.claim(key, "POST /x", b"hash") for key in ("k1", "k2", "k3"))
    assert isinstance(first, Claim)
    assert isinstance(second, Claim)
    assert isinstance(bystander, Claim)
    write("ALTER TABLE idempotency_keys RENAME TO keys_elsewhere")
    idempotency.UNRELEASED.add(first.key, first.route, first.id)
    time.sleep(2 * idempotency.RELEASE_AGAIN_S)
    write("ALTER TABLE keys_elsewhere RENAME TO idempotency_keys")
    idempotency.UNRELEASED.add(second.key, second.route, second.id)
    until(lambda: claims() == ["k3"])


def test_a_late_release_leaves_the_claim_that_took_over(proxy: Proxy, claims: Callable[[], list[str]]) -> None:
    late = idempotency.claim("k", "POST /x", b"hash", claim_s=1.0)
    assert isinstance(late, Claim)
    write("UPDATE idempotency_keys SET created_at = created_at - interval '2 seconds'")
    new = idempotency.claim("k", "POST /x", b"hash")
    assert isinstance(new, Claim)
    idempotency.release(late)
    assert claims() == ["k"]
    idempotency.release(new)
    assert claims() == []


def test_a_request_whose_claim_was_taken_over_is_told_when_to_try_again(env: object) -> None:
    late = idempotency.claim("k", "POST /x", b"hash", claim_s=1.0)
    assert isinstance(late, Claim)
    write("UPDATE idempotency_keys SET created_at = created_at - interval '2 seconds'")
    assert isinstance(idempotency.claim("k", "POST /x", b"hash"), Claim)
    with pytest.raises(IdempotencyInProgress) as raised, transaction() as connection:
        idempotency.finish(connection, late, idempotency.Stored(200, "text/plain", b"late"))
    assert raised.value.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("work_s", "statement_s", "claim_s"), [(None, 20, 25), (10, 20, 25), (30, 20, 35)])
def test_a_claim_lasts_longer_than_the_longest_statement_of_its_work(
    env: dict[str, str], work_s: float | None, statement_s: int, claim_s: float
) -> None:
    def work(_finish: Finish) -> Response:
        assert read("SELECT claim_s FROM idempotency_keys")[0][0] == claim_s
        return Response(b"done")

    with settings_of(env | {"STATEMENT_TIMEOUT_S": str(statement_s)}):
        once("k", "POST /x", b"hash", work, work_s=work_s)
