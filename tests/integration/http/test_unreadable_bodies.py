"""A body that no parser reads gets a problem that says what is wrong with it."""

import pytest

from tests.integration.conftest import Serve


@pytest.mark.parametrize("value", [b"1" * 5000, b"-" + b"1" * 5000, b'"\xff"'])
def test_a_body_that_cannot_be_read_says_why(env: object, serve: Serve, value: bytes) -> None:
    body = b'{"user_id": "ann", "product_id": 1, "event_type": "view", "metadata": {"a": ' + value + b"}}"
    answer = serve("events").post("/events", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:aisle:problem:malformed-body")
    assert answer.json()["detail"].startswith("The body cannot be read: it is not UTF-8, or has a number of thousands")
