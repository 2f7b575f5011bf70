"""A refund names each product once, by whichever of its ids."""

from typing import Any

import pytest
from pydantic import ValidationError

from shared.clients import postgres
from shared.domain.order_events import REPORT
from shared.storage.events import ingestion
from tests.integration.shop import add_products
from tests.integration.storage.events.test_refunds import order, refund, store

TWICE = [{"product_id": 1, "quantity": 1}, {"external_id": "SKU1", "quantity": 1}]


@pytest.fixture(autouse=True)
def shop(env: dict[str, str]) -> None:
    add_products()
    for user in ("ann", "bob"):
        store(user, order("A-1", user_id=user, lines=[{"product_id": 1, "quantity": 3}, {"product_id": 2}]))


def given_back(user_id: str = "ann") -> list[tuple[int, int]]:
    """Return the products of a user's order with the pieces that were given back."""
    rows = postgres.read(
        """SELECT product_id, returned FROM purchase_lines l JOIN users u ON u.id = l.user_id
           WHERE external_id = :user ORDER BY 1""",
        user=user_id,
    )
    return [(int(row[0]), int(row[1])) for row in rows]


def rejected() -> list[tuple[int, str]]:
    return [tuple(row) for row in postgres.read("SELECT position, reason FROM rejected_events ORDER BY position")]


def test_a_product_that_is_named_by_both_ids_is_rejected_and_the_others_are_given_back() -> None:
    lines = refund(lines=[*TWICE, {"product_id": 2, "quantity": 1}])
    for _ in range(2):
        ingestion.store("m1", "ann", lines)
        assert given_back() == [(1, 0), (2, 1)]
        assert rejected() == [(0, ingestion.NAMED_TWICE), (1, ingestion.NAMED_TWICE)]
    assert given_back("bob") == [(1, 0), (2, 0)]


def test_two_refunds_of_one_message_may_name_a_product_differently() -> None:
    mixed = [{"product_id": 1, "quantity": 1}, {"external_id": "SKU2", "quantity": 1}]
    first = refund(event_id="r1", lines=mixed)
    second = refund(event_id="r2", lines=[{"external_id": "SKU1", "quantity": 1}])
    ingestion.store("m1", "ann", [body | {"position": n} for n, body in enumerate([*first, *second])])
    assert (given_back(), rejected()) == ([(1, 2), (2, 1)], [])


def test_a_message_that_repeats_a_refund_gives_back_once() -> None:
    mixed = [{"product_id": 1, "quantity": 1}, {"external_id": "SKU2", "quantity": 1}]
    once = refund(event_id="r1", lines=mixed)
    for message in ("m1", "m2"):
        ingestion.store(message, "ann", [body | {"position": n} for n, body in enumerate([*once, *once])])
        assert (given_back(), rejected()) == ([(1, 1), (2, 1)], [])
    assert given_back("bob") == [(1, 0), (2, 0)]


def test_a_client_cannot_say_which_refund_a_line_belongs_to() -> None:
    mixed: list[dict[str, Any]] = [{"product_id": 1, "quantity": 1}, {"external_id": "SKU2", "quantity": 1}]
    claimed = {"refund_event_id": "r2", "note": "broken"}
    first = refund(event_id="r1", lines=mixed, metadata=claimed)
    assert first[0]["metadata"] == {"note": "broken", "order_id": "A-1", "quantity": 1, "refund_event_id": "r1"}
    whole = refund(event_id="r2", metadata=claimed)
    assert whole[0]["metadata"] == {"note": "broken", "order_id": "A-1"}


@pytest.mark.parametrize(
    "lines",
    [
        [{"product_id": 1, "external_id": "SKU1"}, {"product_id": 1}],
        [{"external_id": "SKU1"}, {"product_id": 1, "external_id": "SKU1"}],
    ],
)
def test_one_id_on_two_lines_is_refused_at_once(lines: list[dict[str, Any]]) -> None:
    report = {"user_id": "ann", "event_type": "refund", "order_id": "A-1", "lines": lines}
    with pytest.raises(ValidationError, match="each product once"):
        REPORT.validate_python(report)
