"""What is read from a message that others have published."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest

from shared import messages


class Event:
    """A CloudEvent with a Pub/Sub message of these data and attributes."""

    def __init__(self, data: bytes, **attributes: str) -> None:
        message = {
            "messageId": "1",
            "data": base64.b64encode(data).decode(),
            "attributes": {"schema": messages.USER_EVENTS_SCHEMA} | attributes,
        }
        self.data = {"message": message}


def read(data: bytes, **attributes: str) -> messages.Message:
    event: Any = Event(data, **attributes)
    return messages.read(event, messages.USER_EVENTS_SCHEMA)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_longer_than_python_reads_does_not_make_the_message_unreadable(sign: str) -> None:
    digits = sign + "1" * messages.MAX_DIGITS
    body = read(f'{{"events": [{digits}1, 7, {"1" * 300}]}}'.encode()).body
    assert body == {"events": [float(f"{sign}inf"), 7, int("1" * 300)]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-27T12:00:00+02:00", datetime(2026, 11, 27, 10, tzinfo=UTC)),
        ("0001-01-01T00:00:00+00:00", datetime(1, 1, 1, tzinfo=UTC)),
        # not a time in UTC, which Postgres needs
        ("0001-01-01T00:00:00+00:01", None),
        ("9999-12-31T23:59:59-00:01", None),
        ("2026-11-27T12:00:00", None),
        ("soon", None),
    ],
)
def test_a_time_of_publication_is_one_that_postgres_can_store(text: str, expected: datetime | None) -> None:
    assert read(b"{}", published_at=text).published_at == expected
