"""Request and response models of images."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.images import MAX_BYTES, ContentType
from shared.http import Query

Token = Annotated[
    str, Field(min_length=1, max_length=200, description="The `upload` that `POST …/image-upload` returned.")
]


class NewImage(BaseModel):
    """An image that staff are about to upload."""

    model_config = ConfigDict(extra="forbid")

    content_type: ContentType = Field(
        description="Type of the file. SVG is not accepted, because it can contain scripts."
    )
    size: int = Field(ge=1, le=MAX_BYTES, strict=True, description="Size of the file in bytes, at most 5 MiB.")


class ImageUpload(BaseModel):
    """Where to send the file, and how."""

    upload: str = Field(description="Token that names the upload when it is finished.")
    method: Literal["PUT"] = Field(description="Method of the request with the file.")
    url: str = Field(description="URL that accepts the file once; relative to this API on the local system.")
    headers: dict[str, str] = Field(description="Headers of that request; all of them are required.")
    expires_at: datetime = Field(description="When the URL and the token expire.")


class UploadQuery(Query):
    """The upload to which a file belongs."""

    token: Token


class ImageChoice(BaseModel):
    """The uploaded file that becomes the image of a product."""

    model_config = ConfigDict(extra="forbid")

    upload: Token
