"""Webhooks that were taken: of each subject, when its newest delivery was signed."""

from datetime import datetime
from typing import Final

from shared.clients.postgres import Connection, execute
from shared.errors import Conflict

TAKE: Final = """
INSERT INTO webhook_deliveries AS d (subject, signed_at) VALUES (:subject, :signed_at)
ON CONFLICT (subject) DO UPDATE SET signed_at = EXCLUDED.signed_at WHERE d.signed_at < EXCLUDED.signed_at
RETURNING 1"""


def take(connection: Connection, subject: str, signed_at: datetime) -> None:
    """Note a delivery in the caller's transaction, which applies it. Deliveries about one subject wait for each other.

    Raises Conflict for one that was signed no later than the last: a replay, or one that a newer one has overtaken.
    """
    if not execute(connection, TAKE, {"subject": subject, "signed_at": signed_at}):
        raise Conflict(
            f"A delivery about {subject} that was signed at the same time or later is applied already. Read the "
            "current state and sign it anew."
        )
