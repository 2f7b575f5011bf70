"""Accepted webhook deliveries: for each subject, when the newest one was signed."""

from datetime import datetime
from typing import Final

from shared.clients.postgres import Connection, execute
from shared.errors import Conflict

TAKE: Final = """
INSERT INTO webhook_deliveries AS d (subject, signed_at) VALUES (:subject, :signed_at)
ON CONFLICT (subject) DO UPDATE SET signed_at = EXCLUDED.signed_at WHERE d.signed_at < EXCLUDED.signed_at
RETURNING 1"""


def take(connection: Connection, subject: str, signed_at: datetime) -> None:
    """Record a delivery in the caller's transaction, which applies it. Deliveries about one subject are serialized.

    Raises Conflict if it was not signed later than the last one: it is a replay, or a newer one has overtaken it.
    """
    if not execute(connection, TAKE, {"subject": subject, "signed_at": signed_at}):
        raise Conflict(
            f"A delivery about {subject} that was signed at the same time or later is applied already. Read the "
            "current state and sign it anew."
        )
