"""Role changes. Whoever registered an email need not own it, so a role is never granted with a known password.

A promotion replaces the password with a random one and ends every session. The only way in is then an emailed link,
which a stranger who registered the email beforehand does not receive. A demotion also ends every session, so that no
token with the previous role stays in use.
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
    """Assign a role to an account; return the account as it was and, after a promotion, the link to set its password.

    ``unknown_hash`` returns the hash of a random password; ``purpose`` is the kind of link. The change is recorded with
    ``actor``. Raises NotFound if there is no such account, and Conflict if the last admin would lose the role or if the
    account's email is not ``email``.
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
    """Make the account with an email an admin, recorded with ``actor``, and return the account.

    If ``existing`` is None, the account is added. Otherwise it gets this password, its sessions end, and it is returned
    as it was before. Raises EmailTaken if the email was registered meanwhile, NotFound if the account was erased, and
    Conflict if its email has changed.
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
