"""Request and response models of model versions."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class ModelVersion(BaseModel):
    """A version of the recommendation model."""

    version: int = Field(description="Number of the version.")
    algorithm: str = Field(description="Algorithm.")
    parameters: dict[str, Any] = Field(description="Parameters of the algorithm.")
    metrics: dict[str, Any] = Field(description="Metrics of its evaluation, and those of the previous version.")
    active: bool = Field(description="Whether this version serves recommendations.")
    published_at: datetime = Field(description="When it was published.")
    stored: bool = Field(description="Whether it is still stored and can be activated.")


class ModelVersionList(BaseModel):
    """Model versions, newest first."""

    models: list[ModelVersion] = Field(description="The versions.")


class ModelActivation(BaseModel):
    """A change of the active model version."""

    version: int = Field(description="The version that is active now.")
    previous: int | None = Field(description="The version that was active before; null if there was none.")
