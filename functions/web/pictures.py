"""The route of drawn pictures, which are the images of products without one."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from starlette.responses import Response

from functions.web.illustrations import draw
from shared.domain.events import ProductId
from shared.http.answers import entity_tag, matches
from shared.http.api import problem_responses
from shared.storage.catalog import pictures

router = APIRouter(tags=["images"])

SVG: Final = "image/svg+xml"
HEADERS: Final = {
    # an hour after a change of title or category every client has the new picture
    "Cache-Control": "public, max-age=3600",
    # opened as a page of its own, it may neither run nor load anything
    "Content-Security-Policy": "default-src 'none'",
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The picture.", "content": {SVG: {"schema": {"type": "string"}}}},
    304: {"description": "The client has this picture."},
    **problem_responses(404),
}


@router.get("/images/{product_id}.svg", response_class=Response, responses=RESPONSES)
def get_image(request: Request, product_id: Annotated[ProductId, Path(description="Id of the product.")]) -> Response:
    """Get the drawn picture of a product. Products with the same title and category have the same picture."""
    subject = pictures.read_subject(product_id)
    body = draw(subject.title, subject.category_path)
    headers = HEADERS | {"ETag": entity_tag(body)}
    if matches(request.headers.get("if-none-match"), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=SVG, headers=headers)
