"""Response models that several functions share."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class PersonalDataExport(BaseModel):
    """Everything held on a user. Besides these members, there is one list per kind of record, as it is stored."""

    model_config = ConfigDict(extra="allow")

    exported_at: datetime = Field(description="When the export was made.")
    profile: dict[str, Any] = Field(description="The user's profile.")
