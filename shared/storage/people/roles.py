"""Changes of roles. The person who registered an address need not own it, so a role never comes with a known password.

A promotion replaces the password by a random one and ends every session. A link is then the only way in, which a
stranger who registered the address beforehand does not get. A demotion ends every session too, so that no token of the
previous role stays in use.
"""

from collections.abc import Callable
from typing import Final

from shared.account_links import Purpose
from shared.clients.postgres import Connection
from shared.domain.identity import Role, new_account_id
from shared.storage.operations import audit
from shared.storage.people import account_links, accounts, refresh_tokens
from shared.storage.people.accounts import User

RANK: Final[dict[str, int]] = {"guest": 0, "user": 0, "support": 1, "admin": 2}


def assign(
    connection: Connection,
    actor: str,
    user_id: str,
    role: Role,
    *,
    unknown_hash: Callable[[], str],
    purpose: Purpose,
    email: str | None = None,
) -> tuple[User, str | None]:
    """Assign a role to an account; return the account as it was, and after a promotion the link that sets its password.

    ``unknown_hash`` makes the hash of a random password, ``purpose`` is the kind of the link. The change is
    recorded as ``actor``'s. Raises NotFound if there is no such account, and Conflict if the last admin would lose the
    role, or if the account has another email than ``email``.
    """
    user = accounts.set_role(connection, user_id, role, email=email)
    url = None
    if role != user.role:
        refresh_tokens.revoke_all(connection, user.id)
    if RANK[role] > RANK[user.role]:
        accounts.set_password(connection, user, unknown_hash())
        url = account_links.issue(connection, user, purpose)
    audit.record(connection, actor, "user.role", f"user:{user_id}", before={"role": user.role}, after={"role": role})
    return user, url


def make_admin(connection: Connection, actor: str, email: str, existing: User | None, password_hash: str) -> User:
    """Make the account of an address an admin, recorded as ``actor``'s change, and return it.

    Without ``existing`` the account is added. Otherwise it is returned as it was before; it gets this password, and its
    sessions end. Raises EmailTaken if the address was registered meanwhile, NotFound if the account was erased, and
    Conflict if it has another email by now.
    """
    if existing is None:
        user = accounts.add(
            connection, new_account_id(), username=None, email=email, password_hash=password_hash, role="admin"
        )
    else:
        user = accounts.set_role(connection, existing.user_id, "admin", email=existing.email)
        accounts.set_password(connection, user, password_hash)
        refresh_tokens.revoke_all(connection, user.id)
    before = None if existing is None else {"role": user.role}
    audit.record(connection, actor, "user.role", f"user:{user.user_id}", before=before, after={"role": "admin"})
    return user
