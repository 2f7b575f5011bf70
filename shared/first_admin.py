"""The first admin: created or promoted before any admin can grant the role, with a link to log in."""

from datetime import datetime
from typing import Final, NamedTuple

from shared import passwords
from shared.clients.postgres import transaction
from shared.domain.email_addresses import valid_email
from shared.errors import InvalidRequest
from shared.storage.people import account_links, accounts, roles

# The actor in the audit log: an operator without an account.
ACTOR: Final = "command-line"


class FirstAdminLink(NamedTuple):
    """The URL that sets an admin's password once, and facts about the account.

    ``created_at`` is when it was registered; ``existed`` whether that was before this call.
    """

    url: str
    created_at: datetime
    existed: bool
    user_id: str
    email_verified: bool


def first_admin_link(email: str) -> FirstAdminLink:
    """Make the account with an email an admin, and return a link, valid for an hour, to set its password.

    An existing account loses its password and all sessions: somebody else may have registered the email beforehand, and
    must not become an admin. A new call replaces the previous link. Raises InvalidRequest for an invalid email,
    Conflict if the account's email is being changed, and MissingSetting without TOKEN_KEYS or PUBLIC_URL.
    """
    try:
        email = valid_email(email.strip())
    except ValueError as error:
        raise InvalidRequest(f"email {error}.") from None
    unknown_hash = passwords.hash_unknown_password()
    existing = accounts.find_by_email(email)
    with transaction() as connection:
        user = roles.make_admin(connection, ACTOR, email, existing, unknown_hash)
        url = account_links.issue(connection, user, "set_password")
    created_at = user.registered_at or user.created_at
    return FirstAdminLink(url, created_at, existing is not None, user.user_id, user.email_verified)
