"""What is known of whoever holds the token: profile, place, preferences, searches; all of it, or no more of it."""

import math
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameters
from starlette.responses import Response

from functions.accounts.schemas import (
    ChangeProfile,
    Export,
    Location,
    PageQuery,
    Preference,
    Preferences,
    PriceBand,
    Profile,
    Search,
    SearchHistory,
)
from functions.accounts.sessions import checked
from shared.auth import Account, Holder
from shared.clients.postgres import transaction
from shared.domain.preferences import price_band
from shared.errors import InvalidToken
from shared.http import private
from shared.http.api import OWNED, problem_responses
from shared.storage.answers import invalidation
from shared.storage.people import accounts, erasure, search_history
from shared.storage.people.accounts import User
from shared.storage.people.export import read_user_data

router = APIRouter(prefix="/users/me", tags=["users"], responses=OWNED)


def profile_of(user: User) -> Profile:
    """Return a user as they see themselves."""
    return Profile.model_validate(
        {name: getattr(user, name) for name in Profile.model_fields if name != "role"} | {"role": user.acting_role}
    )


@router.get("")
def get_profile(claims: Holder) -> Profile:
    """Show the profile."""
    return profile_of(accounts.get_holder(claims.user_id))


@router.patch("", responses=problem_responses(409))
def change_profile(request: Request, claims: Account, body: ChangeProfile) -> Profile:
    """Change username, email or city; what is not given stays."""
    changes: dict[str, Any] = body.model_dump(include=body.model_fields_set - {"password"})
    if body.password is not None:
        checked(accounts.get_holder(claims.user_id).email or "", body.password, request)
    with transaction() as connection:
        user = accounts.lock(connection, claims.user_id)
        if user is None:
            raise InvalidToken("The user of this token does not exist any more.")
        return profile_of(accounts.change(connection, user, changes))


@router.put("/location")
def put_location(claims: Holder, body: Location) -> Profile:
    """Tell where the user is: what is near is ranked higher, from the next answer on."""
    user = accounts.set_location(claims.user_id, body.latitude, body.longitude, body.city)
    invalidation.forget_users([claims.user_id])
    return profile_of(user)


@router.delete("/location", status_code=204)
def delete_location(claims: Holder) -> Response:
    """Forget where the user is."""
    accounts.set_location(claims.user_id, None, None, None)
    invalidation.forget_users([claims.user_id])
    return Response(status_code=204)


@router.get("/preferences")
def get_preferences(claims: Holder) -> Preferences:
    """Show what the user likes, as the system sees it now."""
    accounts.get_holder(claims.user_id)
    rows, sums = accounts.preferences(claims.user_id)
    kinds: dict[str, list[Preference]] = {"category": [], "brand": [], "tag": []}
    for kind, key, name, score, share in rows:
        kinds[kind].append(Preference(key=key, name=name, score=score, share=share))
    band = price_band(*sums) if sums else None
    return Preferences(
        user_id=claims.user_id,
        categories=kinds["category"],
        brands=kinds["brand"],
        tags=kinds["tag"],
        price_band=None
        if band is None
        else PriceBand(mean=math.exp(band[0]), low=math.exp(band[0] - band[1]), high=math.exp(band[0] + band[1])),
    )


@router.get("/search-history")
def get_searches(claims: Holder, query: Annotated[PageQuery, QueryParameters()]) -> SearchHistory:
    """Page through what the user searched for, latest first."""
    found, total = search_history.page(claims.user_id, query.page_size, (query.page - 1) * query.page_size)
    return SearchHistory(
        searches=[Search(**one._asdict()) for one in found],
        total=total,
        page=query.page,
        page_size=query.page_size,
        total_pages=-(-total // query.page_size),
    )


@router.delete("/search-history", status_code=204)
def clear_searches(claims: Holder) -> Response:
    """Forget what the user searched for."""
    search_history.clear(claims.user_id)
    return Response(status_code=204)


@router.get("/export", response_model=Export)
def export(claims: Holder) -> Response:
    """Get everything held on the user, as one JSON document."""
    body = read_user_data(claims.user_id)
    if body is None:
        raise InvalidToken("The user of this token does not exist any more.")
    return private(body, headers={"Content-Disposition": 'attachment; filename="export.json"'})


@router.delete("", status_code=204)
def erase(claims: Holder) -> Response:
    """Erase the user, at once and for good. What the shop counts stays, and belongs to nobody."""
    with transaction(statement_timeout_s=0) as connection:
        user = accounts.lock(connection, claims.user_id)
        if user is None:
            raise InvalidToken("The user of this token does not exist any more.")
        gone = erasure.erase(connection, user.user_id, user.email)
    invalidation.forget_users(gone)
    return Response(status_code=204)
