"""Routes of the shop's own settings."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from functions.admin.answering import private
from functions.admin.schemas import Shop, ShopPatch
from shared.auth import requires
from shared.clients.postgres import transaction
from shared.domain.shop import ShopSettings
from shared.errors import InvalidRequest
from shared.storage.answers import invalidation
from shared.storage.operations import audit, shop

router = APIRouter(prefix="/shop", tags=["shop"])
ShopAdmin = Annotated[str, requires("shop:write")]


def to_response(settings: ShopSettings, languages: list[str]) -> dict[str, Any]:
    """Return the settings as the API shows them."""
    return asdict(settings) | {"currency_decimals": settings.currency_decimals, "search_languages": languages}


def _refusal(field: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{field}: {message}", errors=[{"field": field, "message": message, "type": "value_error"}])


@router.get("", dependencies=[requires("shop:read")], response_model=Shop)
def get_shop(request: Request) -> Response:
    """Get the shop's settings."""
    with transaction() as connection:
        return private(request, to_response(shop.current_in(connection), shop.search_languages(connection)))


@router.patch("", response_model=Shop)
def update_shop(request: Request, actor: ShopAdmin, patch: ShopPatch) -> Response:
    """Change settings of the shop. Omitted fields stay as they are; null clears a field. Audited."""
    with transaction() as connection:
        before = shop.lock(connection)
        changes = patch.model_dump(include=patch.model_fields_set)
        languages = shop.search_languages(connection)
        if (language := changes.get("search_language")) is not None and language not in languages:
            raise _refusal("search_language", f"must be null or one of {', '.join(languages)}")
        if (zone := changes.get("time_zone")) is not None and not shop.time_zone_exists(connection, zone):
            raise _refusal(
                "time_zone", f"there is no time zone {zone!r} in the IANA database; use a name such as Europe/Berlin"
            )
        after = before
        if changes and asdict(before) | changes != asdict(before):
            after = shop.change(connection, asdict(before) | changes)
            audit.record(connection, actor, "shop.change", "shop", before=asdict(before), after=asdict(after))
    shop.forget()
    if after != before:
        invalidation.flush()
    return private(request, to_response(after, languages))
