"""Changes of roles. Whoever registered an address need not own it, so a role never comes with a known password.

A promotion replaces the password by one that nobody knows and ends every session: a link is then the only way in, and
whoever registered the address beforehand is left out. A demotion ends every session too, so that no token of the
previous role stays in use.
"""

from collections.abc import Callable
from typing import Final

from shared.account_links import Purpose
from shared.clients.postgres import Connection
from shared.domain.identity import Role
from shared.storage.operations import audit
from shared.storage.people import account_links, accounts, refresh_tokens
from shared.storage.people.accounts import User

RANK: Final[dict[str, int]] = {"guest": 0, "user": 0, "support": 1, "admin": 2}


def assign(
    connection: Connection, actor: str, user_id: str, role: Role, *, unknown_hash: Callable[[], str], purpose: Purpose
) -> tuple[User, str | None]:
    """Assign a role to an account; return the account as it was, and after a promotion the link that sets its password.

    ``unknown_hash`` makes the hash of a password that nobody knows, ``purpose`` is the kind of the link. The change is
    recorded as ``actor``'s. Raises NotFound if there is no such account, and Conflict if the last admin would lose the
    role.
    """
    user = accounts.set_role(connection, user_id, role)
    url = None
    if role != user.role:
        refresh_tokens.revoke_all(connection, user.id)
    if RANK[role] > RANK[user.role]:
        accounts.set_password(connection, user, unknown_hash())
        url = account_links.issue(connection, user, purpose)
    audit.record(connection, actor, "user.role", f"user:{user_id}", before={"role": user.role}, after={"role": role})
    return user, url
