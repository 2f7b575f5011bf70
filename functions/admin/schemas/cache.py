"""Request and response models of the cache."""

from pydantic import BaseModel, Field


class CacheFlush(BaseModel):
    """Result of a flush."""

    message: str = Field(description="What was flushed.")
