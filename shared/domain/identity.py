"""User ids and their kinds, roles and their permissions. No I/O, so that the hot path can use it."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Final, Literal
from uuid import uuid4

# The kind of an id follows from the id alone, without a lookup: docs/decisions/0008-accounts.md.
ACCOUNT_PREFIX: Final = "acct_"
GUEST_PREFIX: Final = "guest_"
# Possession of a guest id is a credential, so only the unguessable form is a guest id: a shop may number its own users
# guest_1, guest_2, …
_GUEST: Final = re.compile(f"{GUEST_PREFIX}[0-9a-f]{{32}}")

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
    "api-keys:read",
    "api-keys:write",
    "shop:read",
    "shop:write",
    "search:read",
    "search:write",
]
_READING: Final[frozenset[Permission]] = frozenset(
    (
        "dashboard:read",
        "users:read",
        "models:read",
        "jobs:read",
        "rules:read",
        "events:read",
        "orders:read",
        "shop:read",
        "search:read",
    )
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
        "api-keys:read",
        "api-keys:write",
        "shop:write",
        "search:write",
    )
)
PERMISSIONS: Final[Mapping[str, frozenset[Permission]]] = {
    "guest": frozenset(),
    "user": frozenset(),
    "support": _READING | frozenset[Permission](("orders:write",)),
    "admin": _EVERYTHING,
    # The holder of ADMIN_TOKEN: a script that operates the shop and need not access accounts.
    "machine": _EVERYTHING - {"users:read", "users:write"},
}


class IdKind(Enum):
    """Who issued a user id, which determines what protects it."""

    ACCOUNT = auto()
    """`acct_…`: a registered account."""
    GUEST = auto()
    """`guest_` and 32 hexadecimal digits: issued by POST /auth/guest, and too random to be guessed."""
    OTHER = auto()
    """The shop's own id, or one that a browser generated; `guest_42` too."""


def kind_of(user_id: str) -> IdKind:
    """Return the kind of a user id."""
    if user_id.startswith(ACCOUNT_PREFIX):
        return IdKind.ACCOUNT
    return IdKind.GUEST if _GUEST.fullmatch(user_id) else IdKind.OTHER


def is_account(user_id: str) -> bool:
    """Return whether the id is a registered account's."""
    return kind_of(user_id) is IdKind.ACCOUNT


def new_account_id() -> str:
    """Return the id of a new account."""
    return ACCOUNT_PREFIX + uuid4().hex


def new_guest_id() -> str:
    """Return the id of a new guest, with 122 random bits: possession of the id can serve as a credential."""
    return GUEST_PREFIX + uuid4().hex


def allowed(role: str, permission: Permission) -> bool:
    """Return whether a role has a permission; an unknown role has none."""
    return permission in PERMISSIONS.get(role, frozenset())
