"""Route of the dashboard."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.jobs import job_names
from functions.admin.schemas.dashboard import Dashboard
from shared.http import cached
from shared.http.credentials import requires
from shared.storage.answers.protocol import DASHBOARD, DASHBOARD_KEY
from shared.storage.operations import dashboard

router = APIRouter(prefix="/dashboard", tags=["dashboard"])
DASHBOARD_TTL_S: Final = 60


@router.get("", dependencies=[requires("dashboard:read")], response_model=Dashboard)
async def get_dashboard(request: Request) -> Response:
    """Get the shop at a glance, at most a minute old."""
    answer = await cached(
        DASHBOARD, DASHBOARD_KEY, ttl_s=DASHBOARD_TTL_S, compute=lambda: dashboard.render(job_names())
    )
    return private(request, answer.body)
