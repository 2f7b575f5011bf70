"""Payments: which of them have to be released at their provider, and that they were."""

from typing import Final
from uuid import UUID

from shared.clients.postgres import read, write

# a payment that was released before its provider took it: released again
REOPEN: Final = """
UPDATE payments SET state = 'release_due', updated_at = now() WHERE order_id = :order_id AND state = 'released'"""
# those tried least recently first, so that one that never succeeds holds up no other
DUE: Final = "SELECT order_id FROM payments WHERE state = 'release_due' ORDER BY updated_at LIMIT :limit"
DONE: Final = """
UPDATE payments SET state = 'released', updated_at = now() WHERE order_id = :order_id AND state = 'release_due'"""
POSTPONE: Final = "UPDATE payments SET updated_at = now() WHERE order_id = :order_id AND state = 'release_due'"


def reopen(order_id: UUID) -> None:
    """Have a payment released again that may have been taken after it was released."""
    write(REOPEN, order_id=order_id)


def due(limit: int) -> list[UUID]:
    """Return the orders whose payments have to be released."""
    return [row[0] for row in read(DUE, limit=limit)]


def released(order_id: UUID) -> None:
    """Remember that nothing is charged for an order any more."""
    write(DONE, order_id=order_id)


def postpone(order_id: UUID) -> None:
    """Remember that the provider did not answer: others are tried first."""
    write(POSTPONE, order_id=order_id)
