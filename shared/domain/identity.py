"""Whose an id is, and what a role may do. No I/O: the hot path and `events` decide by this alone."""

from collections.abc import Mapping
from typing import Final, Literal
from uuid import uuid4

# Decided by the id alone, without a look-up: docs/decisions/0008-accounts.md
ACCOUNT_PREFIX: Final = "acct_"
GUEST_PREFIX: Final = "guest_"

Role = Literal["guest", "user", "support", "admin"]
Permission = Literal[
    "dashboard:read",
    "audit:read",
    "users:read",
    "users:write",
    "catalog:write",
    "cache:flush",
    "models:read",
    "models:activate",
    "jobs:read",
    "jobs:run",
    "rules:read",
    "rules:write",
    "events:read",
    "events:replay",
    "orders:read",
    "orders:write",
]
_READING: Final[frozenset[Permission]] = frozenset(
    ("dashboard:read", "users:read", "models:read", "jobs:read", "rules:read", "events:read", "orders:read")
)
_EVERYTHING: Final[frozenset[Permission]] = _READING | frozenset[Permission](
    (
        "audit:read",
        "users:write",
        "catalog:write",
        "cache:flush",
        "models:activate",
        "jobs:run",
        "rules:write",
        "events:replay",
        "orders:write",
    )
)
PERMISSIONS: Final[Mapping[str, frozenset[Permission]]] = {
    "guest": frozenset(),
    "user": frozenset(),
    "support": _READING | frozenset[Permission](("orders:write",)),
    "admin": _EVERYTHING,
    # whoever holds ADMIN_TOKEN: a script that runs the shop, and has nothing to do with people's accounts
    "machine": _EVERYTHING - {"users:read", "users:write"},
}


def is_account(user_id: str) -> bool:
    """Whether the id is a registered account's: it then needs that account's token."""
    return user_id.startswith(ACCOUNT_PREFIX)


def new_account_id() -> str:
    """Return a new account's id."""
    return ACCOUNT_PREFIX + uuid4().hex


def new_guest_id() -> str:
    """Return a new guest's id: random enough that knowing it is the right to use it."""
    return GUEST_PREFIX + uuid4().hex


def allowed(role: str, permission: Permission) -> bool:
    """Whether a role has a permission; one that is not known has none."""
    return permission in PERMISSIONS.get(role, frozenset())
