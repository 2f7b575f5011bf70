"""`./aisle admin create EMAIL`: create the first admin, or promote an account, before any admin can grant the role."""

import getpass
import os
import sys
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING

from local.commands import running
from local.errors import CommandError, Refused
from local.services import with_driver

if TYPE_CHECKING:
    from shared.storage.people.accounts import User


def admin(arguments: Sequence[str]) -> int:
    """Run the command. Raises Refused for wrong arguments, CommandError if the database refuses."""
    if len(arguments) != 2 or arguments[0] != "create":
        raise Refused("Expected: ./aisle admin create EMAIL. See ./aisle help.")
    if os.environ.get("DATABASE_URL"):
        os.environ["DATABASE_URL"] = with_driver(os.environ["DATABASE_URL"])
    else:
        os.environ.update(running()["environment"])
    from shared.errors import AppError

    try:
        print(create(arguments[1]))
    except AppError as error:
        raise CommandError(error.detail or error.title) from None
    return 0


def create(email: str) -> str:
    """Create an admin with this email, or promote its account; return sentences that say which.

    Either way the admin has the password that was typed: somebody else may have registered the address beforehand.
    """
    from shared import passwords
    from shared.clients.postgres import transaction
    from shared.domain.email_addresses import valid_email
    from shared.domain.identity import new_account_id
    from shared.storage.operations import audit
    from shared.storage.people import accounts, refresh_tokens

    try:
        email = valid_email(email.strip())
    except ValueError as error:
        raise Refused(f"EMAIL {error}.") from None
    existing = accounts.find_by_email(email)
    if existing is not None:
        sys.stderr.write(f"{describe(existing)} It gets the password that you type now.\n")
    username = existing.username if existing is not None else None
    password_hash = passwords.hash_password(passwords.check(read_password(), email, username or ""))
    with transaction() as connection:
        if existing is None:
            user = accounts.add(
                connection, new_account_id(), username=None, email=email, password_hash=password_hash, role="admin"
            )
        else:
            user = accounts.set_role(connection, existing.user_id, "admin")
            accounts.set_password(connection, user, password_hash)
            refresh_tokens.revoke_all(connection, user.id)
        before = None if existing is None else {"role": user.role}
        subject = f"user:{user.user_id}"
        audit.record(connection, "command-line", "user.role", subject, before=before, after={"role": "admin"})
    if existing is None:
        return f"{email} is now an admin ({user.user_id}). Log in with POST /auth/login."
    return (
        f"{email} was {user.role} and is now an admin ({user.user_id}). The old password no longer works, and every "
        "earlier login has ended."
    )


def describe(user: "User") -> str:
    """Return a sentence that says since when an account exists, and whether its address is verified."""
    since = (user.registered_at or user.created_at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    verified = "is verified" if user.email_verified else "is not verified"
    return f"The account has existed since {since}, and its address {verified}."


def read_password() -> str:
    """Return the password, typed twice at a terminal, otherwise from the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Refused("The two passwords differ. No admin was created; run the command again.")
    return password
