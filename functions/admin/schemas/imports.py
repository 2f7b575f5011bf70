"""Request and response models of imports."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from shared.http import Query


class ImportsQuery(Query):
    """How many imports to list."""

    limit: Annotated[int, Field(ge=1, le=1000, description="Maximum number of imports.")] = 50


class CatalogImport(BaseModel):
    """An import of a catalog."""

    id: int = Field(description="Id of the import.")
    kind: Literal["post", "job", "feed"] = Field(
        description="`POST /products/import`, the job import_catalog, or a feed."
    )
    feed_id: int | None = Field(description="Id of the feed, if the import belongs to a feed that still exists.")
    source: str = Field(description="Where the rows came from, without credentials.")
    state: Literal["running", "succeeded", "failed"] = Field(description="State of the import.")
    rows_read: int = Field(description="Number of rows read so far.")
    rows_written: int = Field(description="Number of products created or changed so far.")
    rows_refused: int = Field(description="Number of rows refused so far.")
    started_at: datetime = Field(description="When it started.")
    updated_at: datetime = Field(description="When it last reported progress.")
    ended_at: datetime | None = Field(description="When it ended; null while it runs.")


class ImportList(BaseModel):
    """The last imports, latest first."""

    imports: list[CatalogImport] = Field(description="The imports.")


class ImportWithReport(CatalogImport):
    """An import with its report."""

    report: dict[str, Any] | None = Field(description="What became of the rows; null while it runs.")
