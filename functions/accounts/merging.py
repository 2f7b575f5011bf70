"""The route that makes two ids one user, for shops whose customers have ids of the shop's own."""

from fastapi import APIRouter
from starlette.responses import Response

from functions.accounts.schemas import GuestMerge, LeftCartItem, UserMerge
from shared.auth import Action, authorise, credential_of, require_session
from shared.clients.postgres import transaction
from shared.http.answers import private
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import LiveCredential
from shared.storage.answers import invalidation
from shared.storage.people import merging
from shared.storage.people.merging import Merge

router = APIRouter(prefix="/users", tags=["users"])


def guest_merge(merge: Merge) -> GuestMerge:
    """Return the result of a merge as an answer shows it."""
    return GuestMerge(
        merged=merge.merged,
        left_cart_items=[
            LeftCartItem(product_id=product_id, quantity=quantity, reason=reason)
            for product_id, quantity, reason in merge.cart
        ],
        left_wishlist=merge.wishlist,
    )


@router.post("/merge", response_model=GuestMerge, responses=OWNED | problem_responses(409))
def request_merge(body: UserMerge, credential: LiveCredential) -> Response:
    """Merge the user `from` into the user `to`: history, preferences, cart, wishlist and orders. Idempotent.

    Needs a secret API key, or the access token of `to` (`Authorization: Bearer`) and that of `from` as `from_token`.
    409 if `from` is an account or was merged into another user.
    """
    from_credential = credential
    if body.from_token is not None:
        from_credential = credential_of(body.from_token, may_block=True)
        require_session(from_credential)
    authorise(body.to, credential, Action.MERGE)
    authorise(body.from_, from_credential, Action.MERGE)
    with transaction() as connection:
        merge = merging.merge_users(connection, body.from_, body.to)
    invalidation.forget_users({body.from_, body.to, *filter(None, [merge.account_id])})
    return private(guest_merge(merge).model_dump_json().encode())
