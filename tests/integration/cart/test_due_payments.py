"""Payments that are due for their release, in turns."""

from uuid import uuid4

import pytest

from shared.clients import postgres
from shared.storage.shopping import payments

pytestmark = pytest.mark.usefixtures("env")


def test_a_payment_whose_release_fails_waits_behind_the_others() -> None:
    # by descending id, so that the order of ids is not that of times
    first, second, released = sorted((uuid4() for _ in range(3)), reverse=True)
    for order, state, minutes in ((first, "release_due", 9), (second, "release_due", 6), (released, "released", 8)):
        postgres.write(
            "INSERT INTO orders (id, request_hash, state, total) VALUES (:id, '', 'cancelled', 1)",
            id=order,
        )
        postgres.write(
            """INSERT INTO payments (order_id, provider, state, amount, updated_at)
               VALUES (:id, 'fake', :state, 1, now() - make_interval(mins => :minutes))""",
            id=order,
            state=state,
            minutes=minutes,
        )
    assert payments.list_due(10) == [first, second]
    assert payments.list_due(1) == [first]
    payments.postpone(first)
    assert payments.list_due(1) == [second]
    payments.mark_released(second)
    assert payments.list_due(10) == [first]
    # it was due no more, and is again
    payments.reopen(released)
    assert payments.list_due(10) == [first, released]
