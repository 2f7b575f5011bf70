"""Routes of training runs: figures of training and evaluation, and the reports they left."""

from typing import Annotated, Final

from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.training_runs import TrainingRunPage, TrainingRunsQuery
from shared.auth import requires
from shared.errors import NotFound
from shared.http.answers import NO_CACHE
from shared.http.api import problem_responses
from shared.storage.operations import training_runs
from shared.storage.paging import Place

router = APIRouter(prefix="/training-runs", tags=["training-runs"])
RunId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the training run.")]
# The report has its own styles and drawings and nothing else: whatever a product or category is called, no script runs
# and nothing is fetched. Sandboxed, the page has no origin and cannot use the reader's session.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"
)


@router.get("", dependencies=[requires("models:read")], response_model=TrainingRunPage)
def list_training_runs(request: Request, query: Annotated[TrainingRunsQuery, QueryParameters()]) -> Response:
    """List the runs of training and evaluation, newest first."""
    runs, total, following = training_runs.page(Place(query.page_size, query.offset, query.after), query.job)
    listed = []
    for run in runs:
        members = run._asdict()
        has_report = members.pop("has_report")
        listed.append(members | {"report": f"/admin/training-runs/{run.id}/report" if has_report else None})
    return private(request, {"runs": listed} | query.members_before(following, total))


@router.get(
    "/{run_id}/report",
    dependencies=[requires("models:read")],
    response_class=Response,
    responses={**problem_responses(404), 200: {"content": {"text/html": {}}, "description": "The report."}},
)
def get_training_report(run_id: RunId) -> Response:
    """Get the report of an evaluation: one HTML page with figures and plots, which loads nothing else."""
    html = training_runs.report(run_id)
    if html is None:
        raise NotFound(f"Training run {run_id} has no report; GET /admin/training-runs names the runs that have one.")
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
        "Cache-Control": NO_CACHE,
    }
    return Response(html, media_type="text/html", headers=headers)
