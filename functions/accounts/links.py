"""Routes of mailed links: passwords that are reset, addresses that are verified.

Each page can be opened any number of times, because programs open the links of a mail before its reader does; only the
form that the page sends uses the link up. Other clients send the same as JSON.
"""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, Response

from functions.accounts import pages
from functions.accounts.pages import FORM_TYPE, PageRoute, wants_page
from functions.accounts.schemas import (
    EmailVerification,
    LinkToken,
    MailAccepted,
    NewPassword,
    PasswordResetRequest,
)
from functions.accounts.sessions import NO_STORE, client_address
from shared import account_mails, passwords
from shared.account_links import SETS_PASSWORD
from shared.clients.postgres import transaction
from shared.errors import WeakPassword
from shared.http.api import OWNED, problem_responses
from shared.http.credentials import AccountHolder
from shared.mail import sending
from shared.storage.operations import audit
from shared.storage.people import account_links, accounts, login_failures, refresh_tokens

router = APIRouter(prefix="/auth", tags=["links"], route_class=PageRoute)
# paths whose forms the edge turns into JSON
FORMS: Final = frozenset({"/auth/password-reset", "/auth/set-password", "/auth/verify-email"})
RESET_ACCEPTED: Final = MailAccepted(
    message="If the address has an account, a message with a link is on its way. The link is valid for an hour."
)
VERIFICATION_ACCEPTED: Final = MailAccepted(
    message="A message with a link is on its way, unless the address is already confirmed."
)
AFTER_RESET: Final = "The new password is set, and every earlier login has ended. You can log in now."
AFTER_VERIFICATION: Final = "The address is confirmed. You can close this page."
TokenParameter = Annotated[LinkToken, Query(description="Token of the link; valid once.")]


def page_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI responses with these statuses that a person gets as a page, other clients as a problem."""
    page: dict[str, Any] = {"text/html": {"schema": {"type": "string"}}}
    return {
        status: {
            "description": "A page." if status < 400 else "A problem (RFC 9457), as a page for a person.",
            "content": page if status < 400 else problem["content"] | page,
        }
        for status, problem in problem_responses(*statuses).items()
        if isinstance(status, int)
    }


# of every route here
PROBLEMS: Final = page_responses(422, 429, 503)


def also_as_form(*fields: str) -> dict[str, Any]:
    """Return the part of a route's description that says that its body may also be a form with these fields."""
    schema = {
        "type": "object",
        "properties": {field: {"type": "string"} for field in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    return {"requestBody": {"content": {FORM_TYPE: {"schema": schema}}}}


@router.get("/password-reset", response_class=HTMLResponse, responses=PROBLEMS)
def get_password_reset_form() -> Response:
    """Get the page on which a person requests a link for a new password."""
    return pages.request_form()


@router.post(
    "/password-reset",
    status_code=202,
    response_model=MailAccepted,
    responses=PROBLEMS | page_responses(202),
    openapi_extra=also_as_form("email"),
)
async def request_password_reset(request: Request, body: PasswordResetRequest) -> Response:
    """Send a link with which a new password can be set, within an hour and once.

    The answer is the same, and takes equally long, whether the address has an account or not. Each request counts as a
    failed login. A mailbox gets at most a few messages an hour.
    """
    await run_in_threadpool(count_request, body.email, client_address(request))
    await sending.send_unseen(lambda: account_mails.password_reset(body.email))
    if wants_page(request):
        return pages.message("Check your mailbox", RESET_ACCEPTED.message, 202)
    return Response(RESET_ACCEPTED.model_dump_json(), 202, NO_STORE, "application/json")


def count_request(email: str, address: str) -> None:
    """Count a request for a link as a failed login. Raises LockedOut."""
    login_failures.begin_attempt(email, address)
    login_failures.record_failure(address)


@router.get("/set-password", response_class=HTMLResponse, responses=PROBLEMS | page_responses(410))
def get_password_form(token: TokenParameter) -> Response:
    """Get the page of a link that sets a password. Opening the page does not use up the link."""
    account_links.find(token, *SETS_PASSWORD)
    return pages.password_form(token)


@router.post(
    "/set-password",
    status_code=204,
    responses=PROBLEMS | page_responses(200, 410),
    openapi_extra=also_as_form("token", "new_password"),
)
def set_password(request: Request, body: NewPassword) -> Response:
    """Set a new password by a mailed link, once. Every login of the account ends.

    A link from a mail also proves that the address belongs to the account holder.
    """
    account_id = account_links.find(body.token, *SETS_PASSWORD)
    holder = accounts.get_holder(account_id)
    try:
        password = passwords.check(body.new_password, holder.email or "", holder.username or "")
    except WeakPassword as error:
        if not wants_page(request):
            raise
        return pages.password_form(body.token, error.detail, error.status)
    password_hash = passwords.hash_password(password)
    with transaction() as connection:
        user, purpose = account_links.use(connection, body.token, *SETS_PASSWORD)
        accounts.set_password(connection, user, password_hash)
        refresh_tokens.revoke_all(connection, user.id)
        audit.record(connection, user.user_id, "password.reset", f"user:{user.user_id}")
        if purpose == "reset_password" and not user.email_verified:
            accounts.set_email_verified(connection, user)
            audit.record(connection, user.user_id, "email.verify", f"user:{user.user_id}")
    login_failures.record_success(user.email or "", client_address(request))
    if wants_page(request):
        return pages.message("Password set", AFTER_RESET)
    return Response(status_code=204)


@router.post("/verification", status_code=202, response_model=MailAccepted, responses=OWNED)
async def request_verification(request: Request, user_id: AccountHolder) -> Response:
    """Send a link that verifies the account's address, unless it is verified. The link is valid for a day.

    A mailbox gets at most a few messages an hour.
    """
    client = client_address(request)
    await sending.send_unseen(lambda: account_mails.verification(user_id, client))
    return Response(VERIFICATION_ACCEPTED.model_dump_json(), 202, NO_STORE, "application/json")


@router.get("/verify-email", response_class=HTMLResponse, responses=PROBLEMS | page_responses(410))
def get_verification_form(token: TokenParameter) -> Response:
    """Get the page of a link that verifies an address. Opening the page does not use up the link."""
    account_links.find(token, "verify_email")
    return pages.verification_form(token)


@router.post(
    "/verify-email",
    status_code=204,
    responses=PROBLEMS | page_responses(200, 410),
    openapi_extra=also_as_form("token"),
)
def verify_email(request: Request, body: EmailVerification) -> Response:
    """Verify the address of an account by a mailed link, once."""
    with transaction() as connection:
        user, _purpose = account_links.use(connection, body.token, "verify_email")
        accounts.set_email_verified(connection, user)
        audit.record(connection, user.user_id, "email.verify", f"user:{user.user_id}")
    if wants_page(request):
        return pages.message("Address confirmed", AFTER_VERIFICATION)
    return Response(status_code=204)
