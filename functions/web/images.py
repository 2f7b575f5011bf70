"""The route of images that staff uploaded."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response, StreamingResponse

from shared.clients.image_store import image_store
from shared.domain import images
from shared.domain.events import ProductId
from shared.errors import NotFound
from shared.http.answers import matches
from shared.http.api import problem_responses
from shared.settings import settings

router = APIRouter(tags=["images"])

HEADERS: Final = {
    # its name changes with its content
    "Cache-Control": "public, max-age=31536000, immutable",
    # Opened as a page of its own, it may neither run nor load anything, whatever the file holds. Every answer of a
    # function has `nosniff` (shared/http/edge.py).
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "The image.",
        "content": {content_type: {"schema": {"type": "string"}} for content_type in images.TYPES},
    },
    304: {"description": "The client has this image."},
    **problem_responses(404),
}


@router.get("/images/{product_id}/{name}", response_class=Response, responses=RESPONSES)
def get_uploaded_image(
    request: Request,
    product_id: Annotated[ProductId, Path(description="Id of the product.")],
    name: Annotated[str, Path(max_length=100, description="Name of the image.")],
) -> Response:
    """Get an uploaded image of a product, at the address that its `image_url` has."""
    content_type = images.content_type_of(name)
    if content_type is None:
        raise NotFound("There is no image of this name. The `image_url` of a product is the address of its image.")
    headers = HEADERS | {"ETag": f'"{name}"'}
    if matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    found = None if settings().image_store is None else image_store().open(product_id, name)
    if found is None:
        raise NotFound(f"Product {product_id} has no image of this name.")
    size, blocks = found
    return StreamingResponse(blocks, headers=headers | {"Content-Length": str(size)}, media_type=content_type)
