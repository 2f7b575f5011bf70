"""Route of the overview: revenue and what recommendations add to it."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.overview import Overview, OverviewQuery
from shared.http.credentials import requires
from shared.storage.operations import overview

router = APIRouter(prefix="/overview", tags=["dashboard"])


@router.get("", dependencies=[requires("dashboard:read")], response_model=Overview)
def get_overview(request: Request, query: Annotated[OverviewQuery, QueryParameters()]) -> Response:
    """Get revenue by day, the part from recommended products, the top products, and reactions by day and position.

    Revenue is net of refunds, at the price of the order or, without an order, of the product.
    """
    return private(request, overview.read_overview(query.days))
