"""Routes of the pages and their files. Each page names its views behind `#`, so it has one path."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.web.files import file_response
from shared.domain.events import Text

# no operations of the API
router = APIRouter(include_in_schema=False)


@router.get("/")
async def get_storefront(request: Request) -> Response:
    """Get the storefront."""
    return file_response(request, "storefront/index.html")


@router.get("/console")
@router.get("/console/{path:path}")
async def get_console(request: Request) -> Response:
    """Get the console for staff."""
    return file_response(request, "console/index.html")


@router.get("/docs")
async def get_reference(request: Request) -> Response:
    """Get the API reference."""
    return file_response(request, "docs/index.html")


@router.get("/web/{path:path}")
async def get_file(request: Request, path: Text) -> Response:
    """Get a file of the pages."""
    return file_response(request, path)


@router.get("/aisle.js")
async def get_snippet(request: Request) -> Response:
    """Get the script that shops embed into their pages."""
    return file_response(request, "aisle.js")
