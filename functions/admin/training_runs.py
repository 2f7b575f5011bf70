"""Routes of training runs: figures of training and evaluation, and the reports they left."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.training_runs import ReportLink, ReportQuery, TrainingRunPage, TrainingRunsQuery
from shared.accepted_credentials import ADMIN, NOTHING, accepts
from shared.errors import Forbidden, NotFound
from shared.http.api import problem_responses
from shared.http.credentials import StaffToken, requires, staff_actor
from shared.http.scopes import is_head
from shared.storage.operations import report_links, training_runs
from shared.storage.paging import Place

router = APIRouter(prefix="/training-runs", tags=["training-runs"])
RunId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the training run.")]
# The report has its own styles and drawings and nothing else: whatever a product or category is called, no script runs
# and nothing is fetched. Sandboxed, the page has no origin and cannot use the reader's session.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; sandbox"
)


def _no_report(run_id: int) -> NotFound:
    return NotFound(f"Training run {run_id} has no report; GET /admin/training-runs names the runs that have one.")


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


@accepts(NOTHING, ADMIN)
def may_read_report(
    request: Request, query: Annotated[ReportQuery, QueryParameters()], credentials: StaffToken = None
) -> None:
    """Raise Unauthorized or Forbidden unless a link or a token of staff opens the report.

    The id of the run is read unvalidated: a stranger learns nothing about ids. Only GET uses a link up: HEAD, which
    programs send that look ahead, shows no report.
    """
    run_id = request.path_params["run_id"]
    opens = report_links.check if is_head(request.scope) else report_links.use
    if query.link is None:
        staff_actor(credentials, "models:read")
    elif not (run_id.isascii() and run_id.isdecimal() and opens(query.link, int(run_id))):
        raise Forbidden("This link has been used, or is older than 5 minutes. Open the report from the console again.")


@router.post(
    "/{run_id}/report-link",
    status_code=201,
    dependencies=[requires("models:read")],
    responses=problem_responses(404),
)
def create_report_link(run_id: RunId) -> ReportLink:
    """Create a link that opens a report once within 5 minutes, because a browser that opens a page sends no token."""
    if training_runs.report(run_id) is None:
        raise _no_report(run_id)
    token = report_links.issue(run_id)
    return ReportLink(url=f"/admin/training-runs/{run_id}/report?link={token}", expires_in=report_links.TTL_S)


@router.get(
    "/{run_id}/report",
    dependencies=[Depends(may_read_report)],
    response_class=Response,
    responses={**problem_responses(404), 200: {"content": {"text/html": {}}, "description": "The report."}},
)
def get_training_report(run_id: RunId) -> Response:
    """Get the report of an evaluation: one HTML page with figures and plots, which loads nothing else.

    A member of staff sends a token, or opens a link of `POST /admin/training-runs/{run_id}/report-link`.
    """
    html = training_runs.report(run_id)
    if html is None:
        raise _no_report(run_id)
    headers = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Referrer-Policy": "no-referrer",
        # a link opens the report once: nothing may keep it
        "Cache-Control": "no-store, no-cache",
    }
    return Response(html, media_type="text/html", headers=headers)
