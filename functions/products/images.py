"""Routes of images: uploading the image of a product, by staff."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Request
from fastapi import Query as InQuery
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from functions.products.answering import ProductId, WithoutQuery, after_commit, author
from functions.products.schemas.images import ImageChoice, ImageUpload, NewImage, UploadQuery
from shared import image_uploads
from shared.clients.image_store import Bucket, Folder, image_store
from shared.clients.postgres import transaction
from shared.domain import images
from shared.domain.catalog import ProductPatch
from shared.domain.product import Product
from shared.errors import Conflict, InvalidLink, InvalidRequest, NotFound, UnsupportedMediaType
from shared.http.api import problem_responses
from shared.http.credentials import CatalogAdmin
from shared.image_uploads import LIFETIME_S, Upload
from shared.settings import settings
from shared.storage.catalog import product_writes
from shared.storage.catalog import products as catalog

UPLOADS: Final = "/products/image-uploads"
router = APIRouter(prefix="/products", tags=["images"])
STAFF: Final = problem_responses(401, 403, 404)
TYPES: Final = ", ".join(images.TYPES)
UPLOAD_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The file, with the type and the number of bytes that the upload was created for.",
        "content": {
            content_type: {"schema": {"type": "string", "contentMediaType": content_type}}
            for content_type in images.TYPES
        },
    }
}


@router.post("/{product_id}/image-upload", status_code=201, responses=STAFF)
def create_image_upload(
    _actor: CatalogAdmin, product_id: ProductId, image: NewImage, _query: WithoutQuery
) -> ImageUpload:
    """Create an upload URL for one image of the product. The URL is valid for ten minutes.

    Send the file to that URL with the given method and headers, then call `PUT /products/{product_id}/image`.
    """
    catalog.get(product_id)
    store = image_store()
    token, upload = image_uploads.create(product_id, image.content_type, image.size)
    if isinstance(store, Bucket):
        url, headers = store.upload_request(upload.name, upload.content_type, upload.size, LIFETIME_S)
    else:
        url, headers = f"{UPLOADS}?token={token}", {"content-type": upload.content_type}
    expires_at = datetime.fromtimestamp(upload.expires_at, UTC)
    return ImageUpload(upload=token, method="PUT", url=url, headers=headers, expires_at=expires_at)


@router.put(
    "/image-uploads",
    status_code=204,
    responses=problem_responses(404, 409, 410, 413, 415),
    openapi_extra=UPLOAD_BODY,
)
async def send_image(request: Request, query: Annotated[UploadQuery, InQuery()]) -> Response:
    """Receive the file of an upload, once. Only on the local system: in the cloud the file is sent to Cloud Storage.

    The token is the credential.
    """
    upload = image_uploads.read(query.token)
    store = image_store()
    if not isinstance(store, Folder):
        raise NotFound("Send the file to the url of the upload, which is an address of Cloud Storage.")
    if request.headers.get("content-type", "") != upload.content_type:
        raise UnsupportedMediaType(f"Content-Type: must be {upload.content_type}, for which the upload was created.")
    body = await request.body()
    check_file(body, upload)
    if not await run_in_threadpool(store.save_upload, upload.name, body):
        raise Conflict("A file was already sent to this upload. Create a new upload for another file.")
    return Response(status_code=204)


@router.put("/{product_id}/image", response_model=Product, responses=STAFF | problem_responses(409, 410, 415))
def set_image(
    request: Request, actor: CatalogAdmin, product_id: ProductId, choice: ImageChoice, _query: WithoutQuery
) -> Response:
    """Make the uploaded file the image of the product. Its `image_url` then points to the file. Audited."""
    upload = image_uploads.read(choice.upload)
    if upload.product_id != product_id:
        raise InvalidLink(f"The upload is for product {upload.product_id}. Create one for product {product_id}.")
    store = image_store()
    body = store.read_upload(upload.name, images.MAX_BYTES + 1)
    if body is None:
        raise Conflict("No file was sent yet. Send it to the url of the upload first.")
    check_file(body, upload)
    name = images.name_of(body, upload.content_type)
    url = f"{settings().require('public_url')}/images/{product_id}/{name}"
    store.keep(product_id, name, body, upload.content_type)
    with transaction() as connection:
        patch = ProductPatch.model_validate({"image_url": url})
        done = product_writes.change(connection, product_id, patch, author(actor, request))
        product = catalog.get_in(connection, product_id)
    after_commit(done.outbox)
    return Response(product, media_type="application/json")


def check_file(body: bytes, upload: Upload) -> None:
    """Raise InvalidRequest or UnsupportedMediaType unless a file has the size and the type of its upload."""
    if len(body) != upload.size:
        raise InvalidRequest(f"The file must have the {upload.size} bytes for which the upload was created.")
    if not images.is_of_type(body, upload.content_type):
        raise UnsupportedMediaType(f"The content of the file is not {upload.content_type}. Send one of {TYPES}.")
