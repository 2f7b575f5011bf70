"""Route of the segments of users."""

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.segments import SegmentList
from shared.http.credentials import requires
from shared.storage.recommending import segments

router = APIRouter(prefix="/segments", tags=["segments"])


def to_response(row: dict[str, Any]) -> dict[str, Any]:
    """Return a stored segment as the API names its fields."""
    return {
        "id": row["id"],
        "name": row["name"],
        "size": row["size"],
        "value": {"days": segments.VALUE_DAYS, "purchases": row["purchases"], "revenue": float(row["revenue"])},
        "movement": {"joined": row["joined"], "left": row["departed"]},
        "profile": row["profile"],
        "created_at": row["created_at"],
        "computed_at": row["computed_at"],
        "ended_at": row["ended_at"],
    }


@router.get("", dependencies=[requires("dashboard:read")], response_model=SegmentList)
def list_segments(request: Request) -> Response:
    """List the segments of users as of the last run of the job `segments`, the largest first, ended ones last.

    The list is empty before that run, and while the shop has too few active users.
    """
    return private(request, {"segments": [to_response(row) for row in segments.list_segments()]})
