"""Routes of imports: how far they are, and their reports."""

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi import Query as QueryParameters
from starlette.requests import Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.imports import ImportList, ImportsQuery, ImportWithReport
from shared.http.api import problem_responses
from shared.http.credentials import requires
from shared.storage.operations import imports

router = APIRouter(prefix="/imports", tags=["imports"])
ImportId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Id of the import.")]


@router.get("", dependencies=[requires("jobs:read")], response_model=ImportList)
def list_imports(request: Request, query: Annotated[ImportsQuery, QueryParameters()]) -> Response:
    """List the last imports of catalogs, latest first: by POST, by the job, and by feeds."""
    listed = [entry._asdict() for entry in imports.latest(query.limit)]
    return private(request, {"imports": [{name: row[name] for name in row if name != "report"} for row in listed]})


@router.get("/{import_id}", dependencies=[requires("jobs:read")], responses=problem_responses(404))
def get_import(import_id: ImportId) -> ImportWithReport:
    """Return an import: how far it is, and its report once it has ended."""
    return ImportWithReport(**imports.get(import_id)._asdict())
