"""Request and response models of training runs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from shared.http import CursorPage, CursorPageQuery, Query


class TrainingRunsQuery(CursorPageQuery):
    """A page of training runs."""

    job: Literal["similarity", "evaluation"] | None = Field(None, description="Only runs of this job.")


class TrainingRun(BaseModel):
    """A run of training or evaluation."""

    id: int = Field(description="Id of the run.")
    job: str = Field(description="Name of the job.")
    started_at: datetime = Field(description="When it started.")
    ended_at: datetime = Field(description="When it ended.")
    outcome: str = Field(description="How it ended.")
    version: int | None = Field(description="The model version it published; null if none.")
    details: dict[str, Any] = Field(description="Its figures and reasons; `drift`: how the shop has changed.")
    report: str | None = Field(description="Path of its report; null if it left none.")


class TrainingRunPage(CursorPage):
    """A page of training runs, newest first."""

    runs: list[TrainingRun] = Field(description="The runs of this page.")


class ReportQuery(Query):
    """What opens a report without a token."""

    link: Annotated[str, StringConstraints(pattern="^[A-Za-z0-9_-]{1,100}$")] | None = Field(
        None, description="Token of a link of `POST /admin/training-runs/{run_id}/report-link`, instead of a login."
    )


class ReportLink(BaseModel):
    """A link that opens a report once."""

    url: str = Field(description="Path of the report with the token of the link.")
    expires_in: int = Field(description="Seconds until the link expires.")
