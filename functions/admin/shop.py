"""Routes of the shop's own settings."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas.shop import Shop, ShopPatch
from shared.clients.postgres import Connection, transaction
from shared.domain.shop import ShopSettings
from shared.errors import InvalidRequest
from shared.http.credentials import requires
from shared.storage.answers import invalidation
from shared.storage.catalog import search_index
from shared.storage.events import outbox
from shared.storage.operations import audit, shop

router = APIRouter(prefix="/shop", tags=["shop"])
ShopAdmin = Annotated[str, requires("shop:write")]


def _response(request: Request, connection: Connection, settings: ShopSettings, languages: list[str]) -> Response:
    """Return the settings as the API shows them."""
    members: dict[str, Any] = asdict(settings) | {
        "currency_decimals": settings.currency_decimals,
        "search_languages": languages,
        "is_indexing": search_index.is_indexing(connection),
    }
    return private(request, members)


@router.get("", dependencies=[requires("shop:read")], response_model=Shop)
def get_shop(request: Request) -> Response:
    """Get the shop's settings."""
    with transaction() as connection:
        return _response(request, connection, shop.current_in(connection), shop.search_languages(connection))


@router.patch("", response_model=Shop)
def update_shop(request: Request, actor: ShopAdmin, patch: ShopPatch) -> Response:
    """Change settings of the shop. Omitted fields stay as they are; null clears a field. Audited."""
    unsent: list[int] = []
    with transaction() as connection:
        before = shop.lock(connection)
        changes = patch.model_dump(include=patch.model_fields_set)
        languages = shop.search_languages(connection)
        if (language := changes.get("search_language")) is not None and language not in languages:
            raise InvalidRequest.of_field("search_language", f"must be null or one of {', '.join(languages)}")
        if (zone := changes.get("time_zone")) is not None and not shop.time_zone_exists(connection, zone):
            message = f"there is no time zone {zone!r} in the IANA database; use a name such as Europe/Berlin"
            raise InvalidRequest.of_field("time_zone", message)
        after = before
        if asdict(before) | changes != asdict(before):
            if changes.get("search_language", before.search_language) != before.search_language:
                search_index.lock_vocabulary(connection)
                unsent = search_index.announce_all(connection)
            after = shop.change(connection, asdict(before) | changes)
            audit.record(connection, actor, "shop.change", "shop", before=asdict(before), after=asdict(after))
        answer = _response(request, connection, after, languages)
    shop.forget()
    if after != before:
        invalidation.flush()
    if unsent:
        outbox.publish_now(unsent, wait_s=outbox.REQUEST_WAIT_S)
    return answer
