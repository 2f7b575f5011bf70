"""Payments to be released at their provider: those due, and those done."""

from typing import Final
from uuid import UUID

from shared.clients.postgres import read, write

# A payment that the provider may have charged after its release.
REOPEN: Final = """
UPDATE payments SET state = 'release_due', updated_at = now() WHERE order_id = :order_id AND state = 'released'"""
# The least recently tried first, so that a payment that always fails does not block the others.
DUE: Final = "SELECT order_id FROM payments WHERE state = 'release_due' ORDER BY updated_at LIMIT :limit"
MARK_RELEASED: Final = """
UPDATE payments SET state = 'released', updated_at = now() WHERE order_id = :order_id AND state = 'release_due'"""
POSTPONE: Final = "UPDATE payments SET updated_at = now() WHERE order_id = :order_id AND state = 'release_due'"


def reopen(order_id: UUID) -> None:
    """Make a released payment due again, because the provider may have charged it after the release."""
    write(REOPEN, order_id=order_id)


def list_due(limit: int) -> list[UUID]:
    """Return up to ``limit`` orders whose payments must be released, the least recently tried first."""
    return [row[0] for row in read(DUE, limit=limit)]


def mark_released(order_id: UUID) -> None:
    """Record that the provider released an order's payment."""
    write(MARK_RELEASED, order_id=order_id)


def postpone(order_id: UUID) -> None:
    """Record that the provider did not respond, so that other payments are tried first."""
    write(POSTPONE, order_id=order_id)
