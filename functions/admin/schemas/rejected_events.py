"""Request and response models of rejected events."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from shared.http import CursorPage


class RejectedEvent(BaseModel):
    """An event or message that can never be processed."""

    id: int = Field(description="Id of the entry.")
    message_id: str = Field(description="Id of the message.")
    position: int = Field(description="Position of the event in the message, from 0; -1 for the message itself.")
    event: Any = Field(description="The event as it was received.")
    reason: str = Field(description="Why it was rejected.")
    rejected_at: datetime = Field(description="When it was rejected.")


class RejectedEventPage(CursorPage):
    """A page of rejected events, newest first."""

    entries: list[RejectedEvent] = Field(description="The events of this page.")
