"""`./aisle admin create EMAIL`: create the first admin, before any admin can grant the role."""

import getpass
import os
import sys
from collections.abc import Sequence

from local.commands import running
from local.errors import CommandError, Refused
from local.services import with_driver


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
    """Create an admin with this email, or give its account the role; return a sentence that says which."""
    from functions.accounts.schemas import valid_email
    from shared import passwords
    from shared.clients.postgres import transaction
    from shared.domain.identity import new_account_id
    from shared.storage.operations import audit
    from shared.storage.people import accounts

    try:
        email = valid_email(email.strip())
    except ValueError as error:
        raise Refused(f"EMAIL {error}.") from None
    existing = accounts.find_by_email(email)
    if existing is not None:
        with transaction() as connection:
            previous, _role = accounts.set_role(connection, existing.user_id, "admin")
            audit.record(
                connection,
                "command-line",
                "user.role",
                f"user:{existing.user_id}",
                before={"role": previous},
                after={"role": "admin"},
            )
        return f"{email} was {previous} and is now an admin ({existing.user_id}). The password is unchanged."
    password_hash = passwords.hash_password(passwords.check(read_password(), email))
    with transaction() as connection:
        user = accounts.add(
            connection, new_account_id(), username=None, email=email, password_hash=password_hash, role="admin"
        )
        audit.record(
            connection, "command-line", "user.role", f"user:{user.user_id}", before=None, after={"role": "admin"}
        )
    return f"{email} is now an admin ({user.user_id}). Log in with POST /auth/login."


def read_password() -> str:
    """Return the password, typed twice at a terminal, otherwise from the first line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise Refused("The two passwords differ. No admin was created; run the command again.")
    return password
