"""Route of what shoppers searched for."""

from typing import Annotated

from fastapi import APIRouter
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.searches import SearchesQuery, SearchPage
from shared.http.credentials import requires
from shared.storage.catalog import searches
from shared.storage.paging import Place

router = APIRouter(prefix="/searches", tags=["searches"])


@router.get("", dependencies=[requires("search:read")], response_model=SearchPage)
def list_searches(request: Request, query: Annotated[SearchesQuery, QueryParameters()]) -> Response:
    """List what shoppers searched for, the most frequent first. `results=0` lists what the shop does not have.

    A search counts within seconds. Each client counts once a day per text.
    """
    place = Place(query.page_size, query.offset, query.after)
    found, total, following = searches.page(query.days, query.results, place)
    return private(
        request, {"searches": [search._asdict() for search in found]} | query.members_before(following, total)
    )
