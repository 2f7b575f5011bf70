"""The first admin: created or promoted before any admin can grant the role, and let in by a link."""

from datetime import datetime
from typing import NamedTuple

from shared import passwords
from shared.clients.postgres import transaction
from shared.domain.email_addresses import valid_email
from shared.domain.identity import new_account_id
from shared.errors import InvalidRequest
from shared.storage.operations import audit
from shared.storage.people import account_links, accounts, refresh_tokens


class FirstAdminLink(NamedTuple):
    """The URL that sets an admin's password once, and what is known about the account.

    ``created_at`` is when it was registered; ``existed`` whether that was before this call.
    """

    url: str
    created_at: datetime
    existed: bool
    user_id: str
    email_verified: bool


def first_admin_link(email: str, actor: str = "command-line") -> FirstAdminLink:
    """Make the account of an address an admin, and return a link that sets its password within an hour.

    An account that exists loses its password and every session: whoever registered the address beforehand must not
    become an admin. A new call replaces the link of the call before. Raises InvalidRequest for a text that is no
    address, and MissingSetting without TOKEN_KEYS or PUBLIC_URL.
    """
    try:
        email = valid_email(email.strip())
    except ValueError as error:
        raise InvalidRequest(f"email {error}.") from None
    unknown_hash = passwords.hash_unknown_password()
    existing = accounts.find_by_email(email)
    with transaction() as connection:
        if existing is None:
            previous = None
            user = accounts.add(
                connection, new_account_id(), username=None, email=email, password_hash=unknown_hash, role="admin"
            )
        else:
            user = accounts.set_role(connection, existing.user_id, "admin")
            previous = {"role": user.role}
            accounts.set_password(connection, user, unknown_hash)
            refresh_tokens.revoke_all(connection, user.id)
        url = account_links.issue(connection, user, "set_password")
        audit.record(connection, actor, "user.role", f"user:{user.user_id}", before=previous, after={"role": "admin"})
    created_at = user.registered_at or user.created_at
    return FirstAdminLink(url, created_at, existing is not None, user.user_id, user.email_verified)
