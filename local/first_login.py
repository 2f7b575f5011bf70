"""The first admin of a new local system, whose password `./aisle up` prints once.

`local.prepare` creates the account and leaves the login in a file of the state folder, which `up` prints and deletes.
Afterwards the password is nowhere.
"""

import secrets
from pathlib import Path
from typing import NamedTuple

from local.state import read_json, write_private

# nobody receives mail there
EMAIL = "admin@aisle.example"
FILE = "first-login.json"


class Login(NamedTuple):
    """The login of the first admin."""

    email: str
    password: str


def offer(folder: Path) -> None:
    """Create an admin in a database without any, and leave the login in the state folder."""
    from shared import passwords
    from shared.clients.postgres import transaction
    from shared.first_admin import ACTOR
    from shared.storage.paging import Place
    from shared.storage.people import accounts, roles

    _admins, total, _next = accounts.page(Place(1), None, "admin")
    if total:
        return
    login = Login(EMAIL, secrets.token_urlsafe(12))
    password_hash = passwords.hash_password(login.password)
    # written first: an account whose password nobody knows would be of no use
    write_private(folder / FILE, login._asdict())
    with transaction() as connection:
        roles.make_admin(connection, ACTOR, login.email, accounts.find_by_email(login.email), password_hash)


def take(folder: Path) -> Login | None:
    """Return the login that was left, and delete it; None if there is none."""
    content = read_json(folder / FILE)
    (folder / FILE).unlink(missing_ok=True)
    return Login(content["email"], content["password"]) if content else None
