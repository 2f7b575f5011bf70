"""A route whose transaction lost a deadlock runs once more, unless it has already changed something for good."""

import asyncio
from threading import Barrier
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from shared.clients import postgres_errors
from shared.clients.postgres import execute, read, transaction, write
from shared.http.api import api

CHANGE = "UPDATE things SET n = n + 1 WHERE id = :id"


class Order(BaseModel):
    """The order in which a request locks the two rows."""

    first: int
    second: int


class Deadlocking:
    """An application with a route that changes two rows, in the order of its body."""

    def __init__(self) -> None:
        # both hold their first row before either asks for its second one
        self.barrier = Barrier(2)
        self.runs: list[int] = []
        router = APIRouter()
        router.post("/change")(self.change)
        router.post("/commit-and-change")(self.commit_and_change)
        self.app = api("deadlocking", "A test.", needs=())
        self.app.include_router(router)

    def change(self, order: Order) -> dict[str, int]:
        is_first_run = order.first not in self.runs
        self.runs.append(order.first)
        with transaction() as connection:
            execute(connection, CHANGE, {"id": order.first})
            if is_first_run:
                self.barrier.wait(30)
            execute(connection, CHANGE, {"id": order.second})
        return {"first": order.first}

    def commit_and_change(self, order: Order) -> dict[str, int]:
        with transaction() as connection:
            execute(connection, CHANGE, {"id": 3})
        return self.change(order)

    def post_both(self, path: str) -> list[httpx.Response]:
        """Send both orders at the same time."""

        async def post() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://shop", timeout=60) as client:
                bodies: list[dict[str, Any]] = [{"first": 1, "second": 2}, {"first": 2, "second": 1}]
                return await asyncio.gather(*(client.post(path, json=body) for body in bodies))

        return asyncio.run(post())


@pytest.fixture
def deadlocking(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Deadlocking:
    # a winner that gets no processor for a while must still pass the one that lost
    monkeypatch.setattr(postgres_errors, "UNDONE_PAUSE_S", 2.0)
    write("CREATE TABLE things (id bigint PRIMARY KEY, n bigint NOT NULL DEFAULT 0)")
    write("INSERT INTO things VALUES (1), (2), (3)")
    return Deadlocking()


def numbers() -> list[int]:
    return [int(row[0]) for row in read("SELECT n FROM things ORDER BY id")]


def test_the_route_that_lost_runs_again_with_its_body(deadlocking: Deadlocking) -> None:
    answers = deadlocking.post_both("/change")
    assert [(answer.status_code, answer.json()) for answer in answers] == [(200, {"first": 1}), (200, {"first": 2})]
    # one of them ran twice, and what it did first was undone
    assert sorted(deadlocking.runs) in ([1, 1, 2], [1, 2, 2])
    assert numbers() == [2, 2, 0]


def test_a_route_that_has_committed_something_does_not_run_again(deadlocking: Deadlocking) -> None:
    answers = deadlocking.post_both("/commit-and-change")
    assert sorted(answer.status_code for answer in answers) == [200, 503]
    (refused,) = (answer for answer in answers if answer.status_code == 503)
    assert refused.json()["type"] == "urn:aisle:problem:database-busy"
    assert refused.headers["Retry-After"] == "1"
    assert sorted(deadlocking.runs) == [1, 2]
    assert numbers() == [1, 1, 2]
