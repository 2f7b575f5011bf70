"""What training and evaluation came to, and the reports to read."""

from datetime import datetime
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.schemas import Page
from shared.auth import requires
from shared.errors import NotFound
from shared.http import fresh
from shared.http.answers import NO_CACHE
from shared.http.api import problem_responses
from shared.storage.operations import training_runs

# included in the admin router
router = APIRouter(prefix="/training-runs")

RunId = Annotated[int, Path(ge=1, le=2**53 - 1)]
# The page has its own styles and drawings and nothing else: no script runs and nothing is fetched, whatever a product
# or a category is called. Without an origin of its own it could not use the reader's session either.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"


class RunsQuery(Page):
    """Which page of which job's runs."""

    job: Literal["similarity", "evaluation"] | None = None


class TrainingRun(BaseModel):
    """One run; ``details`` are its figures and reasons, ``report`` the path of its page where it left one."""

    id: int
    job: str
    started_at: datetime
    ended_at: datetime
    outcome: str
    version: int | None
    details: dict[str, Any]
    report: str | None


class TrainingRuns(BaseModel):
    """A page of runs, newest first."""

    runs: list[TrainingRun]
    total: int
    page: int
    page_size: int
    total_pages: int


@router.get("", dependencies=[requires("models:read")], response_model=TrainingRuns)
def get_training_runs(request: Request, query: Annotated[RunsQuery, QueryParameters()]) -> Response:
    """Page through the runs of training and evaluation, newest first."""
    found, total = training_runs.page(query.page_size, query.offset, query.job)
    runs = []
    for run in found:
        told = run._asdict()
        told["report"] = f"/admin/training-runs/{run.id}/report" if told.pop("has_report") else None
        runs.append(told)
    return fresh(request, orjson.dumps({"runs": runs} | query.of(total)), max_age_s=0, public=False)


@router.get(
    dependencies=[requires("models:read")],
    path="/{run_id}/report",
    response_class=Response,
    responses={**problem_responses(404), 200: {"content": {"text/html": {}}, "description": "A page to read"}},
)
def get_report(run_id: RunId) -> Response:
    """Return the page that an evaluation left: figures and plots, with nothing to fetch beside it."""
    html = training_runs.report(run_id)
    if html is None:
        raise NotFound(f"Training run {run_id} left no report; GET /admin/training-runs says which did.")
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": NO_CACHE,
    }
    return Response(html, media_type="text/html", headers=headers)
