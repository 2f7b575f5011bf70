"""Routes for the user of the access token: profile, location, preferences, search history, export and erasure."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameters
from starlette.responses import Response

from functions.accounts.schemas import (
    PastSearch,
    Preference,
    ProfileChange,
    SearchHistoryPage,
    SearchHistoryQuery,
    UserLocation,
    UserPreferences,
    UserProfile,
    UsualPrices,
)
from functions.accounts.sessions import client_address, lock_verified, verified_account
from shared import account_mails
from shared.auth import bearer
from shared.clients.postgres import transaction
from shared.domain.identity import IdKind, kind_of
from shared.domain.preferences import price_band
from shared.errors import EmailTaken, InvalidToken, NotFound, UsernameTaken
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import AccountHolder, DataOwner, TokenHolder
from shared.http.schemas import PersonalDataExport
from shared.mail import sending
from shared.storage.answers import invalidation
from shared.storage.operations import audit
from shared.storage.paging import Place
from shared.storage.people import account_links, accounts, erasure, export, login_failures, search_history
from shared.storage.people.accounts import User

router = APIRouter(prefix="/users/me", tags=["users"], responses=OWNED | problem_responses(404))
PRIVATE = {"Cache-Control": "private, no-store"}
USER_GONE = "The user of this access token no longer exists; log in or register again."


@contextmanager
def explaining_a_missing_user(request: Request, user_id: str) -> Iterator[None]:
    """Turn InvalidToken for a user who does not exist into NotFound, where it is not the token that is wrong.

    A secret key may name any user, and the shop's own users exist here only once they have done something.
    """
    try:
        yield
    except InvalidToken:
        if bearer(request.headers.get("authorization")) is not None and kind_of(user_id) is not IdKind.OTHER:
            raise
        raise NotFound(f"There is no user {user_id}: nothing is stored under this user_id.") from None


def profile_of(user: User) -> UserProfile:
    """Return the user's own view of their profile."""
    return UserProfile.model_validate(
        {name: getattr(user, name) for name in UserProfile.model_fields if name != "role"} | {"role": user.acting_role}
    )


@router.get("")
def get_profile(request: Request, user_id: TokenHolder) -> UserProfile:
    """Get the user's profile."""
    with explaining_a_missing_user(request, user_id):
        return profile_of(accounts.get_holder(user_id))


@router.patch("", responses=problem_responses(409))
def update_profile(request: Request, user_id: AccountHolder, body: ProfileChange) -> UserProfile:
    """Change username, email or city. Omitted fields stay as they are.

    A new email is not verified; a link that verifies it is mailed to that address.
    """
    changes: dict[str, Any] = body.model_dump(include=body.model_fields_set - {"password"})
    verified = None
    if body.password is not None:
        verified = verified_account(accounts.get_holder(user_id).email or "", body.password, request)
    address = client_address(request)
    # a new email is an attempt like that of a registration: the answer says whether it has an account
    attempted = body.email if body.email and (verified is None or body.email != verified.email) else None
    if attempted is not None:
        login_failures.begin_attempt(attempted, address)
    try:
        profile = change_profile(user_id, changes, verified, body.password)
    except EmailTaken:
        login_failures.record_failure(address)
        raise
    except UsernameTaken:
        if attempted is not None:
            login_failures.take_back(attempted, address)
        raise
    if attempted is not None:
        login_failures.record_success(attempted, address)
        sending.send(lambda: account_mails.verification(user_id, address))
    return profile


def change_profile(user_id: str, changes: dict[str, Any], verified: User | None, password: str | None) -> UserProfile:
    """Change an account, after its password was verified if one is needed. Raises EmailTaken, UsernameTaken."""
    with transaction() as connection:
        if verified is not None and password is not None:
            user: User | None = lock_verified(connection, verified, password)
        else:
            user = accounts.lock(connection, user_id)
        if user is None:
            raise InvalidToken(USER_GONE)
        changed = accounts.change(connection, user, changes)
        if changed.email != user.email:
            # for good: a link of the old address does not come back with it
            account_links.end_all(connection, user)
            audit.record(connection, user_id, "email.change", f"user:{user_id}")
        return profile_of(changed)


@router.put("/location")
def set_location(request: Request, user_id: TokenHolder, body: UserLocation) -> UserProfile:
    """Set the user's location. From the next request on, products nearby rank higher."""
    with explaining_a_missing_user(request, user_id):
        user = accounts.set_location(
            user_id, body.latitude, body.longitude, body.city, keep_city="city" not in body.model_fields_set
        )
    invalidation.forget_users([user_id])
    return profile_of(user)


@router.delete("/location", status_code=204)
def delete_location(request: Request, user_id: TokenHolder) -> Response:
    """Delete the user's location."""
    with explaining_a_missing_user(request, user_id):
        accounts.set_location(user_id, None, None, None)
    invalidation.forget_users([user_id])
    return Response(status_code=204)


@router.get("/preferences")
def get_preferences(request: Request, user_id: TokenHolder) -> UserPreferences:
    """Get the user's preferences, derived from their events so far."""
    with explaining_a_missing_user(request, user_id):
        accounts.get_holder(user_id)
    rows, sums = accounts.preferences(user_id)
    kinds: dict[str, list[Preference]] = {"category": [], "brand": [], "tag": []}
    for kind, key, name, score, share in rows:
        kinds[kind].append(Preference(key=key, name=name, score=score, share=share))
    band = price_band(*sums) if sums else None
    return UserPreferences(
        user_id=user_id,
        categories=kinds["category"],
        brands=kinds["brand"],
        tags=kinds["tag"],
        price_band=None
        if band is None
        else UsualPrices(mean=math.exp(band[0]), low=math.exp(band[0] - band[1]), high=math.exp(band[0] + band[1])),
    )


@router.get("/search-history")
def list_search_history(
    user_id: TokenHolder, query: Annotated[SearchHistoryQuery, QueryParameters()]
) -> SearchHistoryPage:
    """List what the user searched for, latest first."""
    place = Place(query.page_size, query.offset, query.after)
    searches, total, following = search_history.page(user_id, place)
    return SearchHistoryPage(
        searches=[PastSearch(**search._asdict()) for search in searches], **query.members_before(following, total)
    )


@router.delete("/search-history", status_code=204)
def clear_search_history(user_id: TokenHolder) -> Response:
    """Delete the user's search history."""
    search_history.clear(user_id)
    return Response(status_code=204)


@router.get("/export", response_model=PersonalDataExport)
def export_my_data(request: Request, user_id: DataOwner) -> Response:
    """Export everything held on the user as one JSON document."""
    body = export.read_user_data(user_id)
    with explaining_a_missing_user(request, user_id):
        if body is None:
            raise InvalidToken(USER_GONE)
    headers = PRIVATE | {"Content-Disposition": 'attachment; filename="export.json"'}
    return Response(body, media_type="application/json", headers=headers)


@router.delete("", status_code=204)
def erase_my_data(request: Request, user_id: DataOwner) -> Response:
    """Erase the user at once and for good. The shop's totals stay, without a link to the user."""
    with explaining_a_missing_user(request, user_id), transaction(statement_timeout_s=0) as connection:
        user = accounts.lock(connection, user_id)
        if user is None:
            raise InvalidToken(USER_GONE)
        erased = erasure.erase(connection, user.user_id, user.email)
    invalidation.forget_users(erased)
    return Response(status_code=204)
