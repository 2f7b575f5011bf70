"""The Idempotency-Key of creating requests."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from starlette.responses import Response

from shared.clients.postgres import read, transaction, write
from shared.errors import IdempotencyInProgress
from shared.http.idempotency import Finish, once
from shared.storage.operations import idempotency
from shared.storage.operations.retention import RULES, delete_expired

BODY = {"name": "Lamp", "price": 1}
KEY = {"Idempotency-Key": "key-1"}
# the rule of the job retention
(KEYS,) = (rule for rule in RULES if rule.table == "idempotency_keys")


def products() -> int:
    return int(read("SELECT count(*) FROM products WHERE name = 'Lamp'")[0][0])


def test_a_repeated_request_gets_the_same_answer_and_runs_once(admin: httpx.Client) -> None:
    first = admin.post("/products", json=BODY, headers=KEY)
    second = admin.post("/products", json=BODY, headers=KEY)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert first.headers["location"] == second.headers["location"]
    assert ("idempotent-replayed" in first.headers, second.headers["idempotent-replayed"]) == (False, "true")
    assert products() == 1


def test_the_key_of_another_body_is_refused(admin: httpx.Client) -> None:
    admin.post("/products", json=BODY, headers=KEY)
    answer = admin.post("/products", json=BODY | {"price": 2}, headers=KEY)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:aisle:problem:idempotency-key-reused")
    assert products() == 1


def test_another_route_has_keys_of_its_own(admin: httpx.Client) -> None:
    admin.post("/products", json=BODY, headers=KEY)
    feed = b'{"external_id": "F", "name": "Fed", "price": 1}'
    reports = [
        admin.post("/products/import", content=feed, headers=KEY | {"Content-Type": "application/jsonl"})
        for _ in range(2)
    ]
    assert [report.json()["created"] for report in reports] == [1, 1]
    assert reports[1].headers["idempotent-replayed"] == "true"


def test_a_refused_request_gives_its_key_back(admin: httpx.Client) -> None:
    conflicting = {"external_id": "H2", "name": "Lamp", "price": 1}
    assert admin.post("/products", json=conflicting, headers=KEY).status_code == 409
    assert admin.post("/products", json=BODY, headers=KEY).status_code == 201


def test_of_concurrent_requests_with_a_key_one_runs_and_all_answers_agree(admin: httpx.Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _number: admin.post("/products", json=BODY, headers=KEY), range(16)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert {answer.json()["type"] for answer in answers if answer.status_code == 409} <= {
        "urn:aisle:problem:request-in-progress"
    }
    assert products() == 1


def test_a_second_request_during_the_first_is_a_conflict(admin: httpx.Client) -> None:
    inside: list[httpx.Response] = []

    def work(finish: Finish) -> Response:
        with pytest.raises(IdempotencyInProgress):
            once("k", "POST /x", b"hash", lambda _finish: Response(b"never"))
        answer = Response(b"done", 200, media_type="text/plain")
        with transaction() as connection:
            finish(connection, answer)
        inside.append(answer)  # type: ignore[arg-type]
        return answer

    assert once("k", "POST /x", b"hash", work).body == b"done"
    assert once("k", "POST /x", b"hash", work).body == b"done"
    assert len(inside) == 1


def test_a_crashed_run_blocks_its_key_for_a_minute_only_and_cannot_commit_later(env: dict[str, str]) -> None:
    crashed = idempotency.claim("k", "POST /x", b"hash")
    assert isinstance(crashed, idempotency.Claim)
    with pytest.raises(IdempotencyInProgress):
        idempotency.claim("k", "POST /x", b"hash")
    write("UPDATE idempotency_keys SET created_at = created_at - interval '61 seconds'")
    taken_over = idempotency.claim("k", "POST /x", b"hash")
    assert isinstance(taken_over, idempotency.Claim)
    with pytest.raises(IdempotencyInProgress), transaction() as connection:
        idempotency.finish(connection, crashed, idempotency.Stored(200, "text/plain", b"late"))
    with transaction() as connection:
        idempotency.finish(connection, taken_over, idempotency.Stored(200, "text/plain", b"answer"))
    assert idempotency.claim("k", "POST /x", b"hash") == idempotency.Stored(200, "text/plain", b"answer")


def test_a_key_is_forgotten_after_a_day(env: dict[str, str]) -> None:
    first = idempotency.claim("k", "POST /x", b"hash")
    assert isinstance(first, idempotency.Claim)
    with transaction() as connection:
        idempotency.finish(connection, first, idempotency.Stored(200, "text/plain", b"answer"))
    assert delete_expired(KEYS, 13) == 0
    write("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
    assert isinstance(idempotency.claim("k", "POST /x", b"another"), idempotency.Claim)
    write("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'")
    assert delete_expired(KEYS, 13) == 1
    assert read("SELECT count(*) FROM idempotency_keys")[0][0] == 0


def test_an_invalid_key_is_refused(admin: httpx.Client) -> None:
    for key in ("", "x" * 256, "ä"):
        answer = admin.post("/products", json=BODY, headers={"Idempotency-Key": key.encode("latin-1")})
        assert answer.status_code == 422, key
    assert products() == 0
