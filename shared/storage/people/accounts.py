"""Users: guests and accounts. Accounts are the rows of ``users`` with an email."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.clients.postgres import Connection, execute, read, read_one, write
from shared.clients.postgres_errors import sqlstate
from shared.domain.identity import Role
from shared.domain.text import canonical_email
from shared.errors import Conflict, EmailTaken, InvalidToken, NotFound, UsernameTaken
from shared.storage.paging import PagedList, Place

UNIQUE_VIOLATION: Final = "23505"
USERNAME_TAKEN: Final = "This username is taken; choose another one."
COLUMNS: Final = """id, external_id, is_anonymous, username, email, password_hash, role, latitude, longitude, city,
    created_at, registered_at, email_verified_at"""
BY_ID: Final = f"SELECT {COLUMNS} FROM users WHERE external_id = :user_id"
# Rows from before emails had a canonical form are found by the email as typed, and first, because two of them may share
# a canonical form.
BY_EMAIL: Final = f"""
SELECT {COLUMNS} FROM users WHERE lower(email) IN (lower(:email), lower(:typed))
ORDER BY lower(email) = lower(:typed) DESC LIMIT 1"""
# as LOCK of merging.py
LOCK: Final = f"SELECT {COLUMNS} FROM users WHERE external_id IN (:user_id, :other_id) ORDER BY id FOR NO KEY UPDATE"
ADD: Final = f"""
INSERT INTO users (external_id, is_anonymous, username, email, password_hash, role, registered_at)
VALUES (:user_id, false, :username, :email, :password_hash, :role, now()) RETURNING {COLUMNS}"""
ADD_GUEST: Final = "INSERT INTO users (external_id) VALUES (:user_id) RETURNING id"
CHANGE: Final = f"""
UPDATE users SET username = :username, email = :email, city = :city WHERE id = :id RETURNING {COLUMNS}"""
FIND_USERNAME: Final = "SELECT 1 FROM users WHERE lower(username) = lower(:username) AND external_id <> :user_id"
SET_LOCATION: Final = f"""
UPDATE users SET latitude = :latitude, longitude = :longitude, last_seen_at = now(),
    city = CASE WHEN :keep_city THEN city ELSE :city END
WHERE external_id = :user_id RETURNING {COLUMNS}"""
REPLACE_HASH: Final = "UPDATE users SET password_hash = :password_hash WHERE id = :id"
VERIFY_EMAIL: Final = """
UPDATE users SET email_verified_at = coalesce(email_verified_at, clock_timestamp()) WHERE id = :id"""
# Only if the password was not changed while it was being verified.
REHASH: Final = "UPDATE users SET password_hash = :new WHERE id = :id AND password_hash = :old"
SET_ROLE: Final = "UPDATE users SET role = :role WHERE id = :id"
# All admins, in id order: if two admins demote each other at the same time, one of them waits here.
LOCK_ADMINS: Final = "SELECT external_id FROM users WHERE role = 'admin' AND email IS NOT NULL ORDER BY id FOR UPDATE"
PREFERENCES: Final = """
WITH account AS (SELECT id FROM users WHERE external_id = :user_id),
taste AS (
    SELECT kind, key, score
        * power(2::float8, -least(extract(epoch FROM now() - as_of)::float8 / :half_life_s, :max_halvings)) AS score
    FROM user_preferences WHERE user_id = (SELECT id FROM account)
)
SELECT t.kind, t.key, c.leaf, t.score, t.score / nullif(sum(t.score) OVER (PARTITION BY t.kind), 0)
FROM taste t LEFT JOIN categories c ON t.kind = 'category' AND c.id::text = t.key
ORDER BY t.kind, t.score DESC, t.key LIMIT 1000"""
PRICE_BAND: Final = """
SELECT weight, log_sum, square_sum FROM user_price_bands
WHERE user_id = (SELECT id FROM users WHERE external_id = :user_id)"""
STAFF_PAGE: Final = f"""
SELECT {COLUMNS} FROM users
WHERE email IS NOT NULL AND (cast(:email AS text) IS NULL OR lower(email) IN (lower(:email), lower(:typed)))
  AND (cast(:role AS text) IS NULL OR role = :role) AND {{after}}
ORDER BY id DESC LIMIT :limit OFFSET :offset"""
STAFF_COUNT: Final = """
SELECT count(*) FROM users
WHERE email IS NOT NULL AND (cast(:email AS text) IS NULL OR lower(email) IN (lower(:email), lower(:typed)))
  AND (cast(:role AS text) IS NULL OR role = :role)"""
STAFF_LIST: Final = PagedList("accounts", STAFF_PAGE, STAFF_COUNT, [("id", True, "bigint")], places=(0,))


@dataclass(frozen=True)
class User:
    """A row of ``users``; ``id`` is internal, ``user_id`` is the public id (column ``external_id``)."""

    id: int
    user_id: str
    is_anonymous: bool
    username: str | None
    email: str | None
    password_hash: str | None
    role: str
    latitude: float | None
    longitude: float | None
    city: str | None
    created_at: datetime
    registered_at: datetime | None
    email_verified_at: datetime | None

    @property
    def email_verified(self) -> bool:
        """Whether the account's owner has proven that the address is theirs."""
        return self.email_verified_at is not None

    @property
    def acting_role(self) -> str:
        """The role that this user's tokens carry."""
        return "guest" if self.is_anonymous else self.role


def _explain(error: Exception) -> Exception:
    """Return UsernameTaken or EmailTaken if their unique index was violated, otherwise the error unchanged."""
    original = getattr(error, "orig", None)
    if sqlstate(original) != UNIQUE_VIOLATION:
        return error
    if "users_username" in str(original):
        return UsernameTaken(USERNAME_TAKEN)
    return EmailTaken("An account with this email exists; log in instead.")


def _require_free(connection: Connection, username: str, user_id: str) -> None:
    """Raise UsernameTaken if another account has the name.

    Checked before the email: otherwise the index on emails would be violated first, so that a UsernameTaken error would
    reveal, outside the rate limit, that no account has the email.
    """
    if execute(connection, FIND_USERNAME, {"username": username, "user_id": user_id}):
        raise UsernameTaken(USERNAME_TAKEN)


def find(user_id: str) -> User | None:
    """Return the user with this public id, or None."""
    row = read_one(BY_ID, user_id=user_id)
    return None if row is None else User(*row)


def find_by_email(email: str) -> User | None:
    """Return the account with this email in any spelling, or None."""
    row = read_one(BY_EMAIL, email=canonical_email(email), typed=email.strip())
    return None if row is None else User(*row)


def get_holder(user_id: str) -> User:
    """Return the user of a token. Raises InvalidToken if the user was erased after the token was issued."""
    user = find(user_id)
    if user is None:
        raise InvalidToken("The user of this token no longer exists; register or log in again.")
    return user


def lock(connection: Connection, user_id: str, other_id: str | None = None) -> User | None:
    """Lock a user until the transaction ends and return them; None if there is no such user.

    ``other_id``: a guest to lock as well, to be merged into the user.
    """
    rows = execute(connection, LOCK, {"user_id": user_id, "other_id": other_id})
    return next((user for user in (User(*row) for row in rows) if user.user_id == user_id), None)


def add(
    connection: Connection, user_id: str, *, username: str | None, email: str, password_hash: str, role: Role = "user"
) -> User:
    """Add an account. Raises EmailTaken, UsernameTaken."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    if username is not None:
        _require_free(connection, username, user_id)
    values = {"user_id": user_id, "username": username, "email": email, "password_hash": password_hash, "role": role}
    try:
        return User(*execute(connection, ADD, values)[0])
    except (IntegrityError, ProgrammingError) as error:
        raise _explain(error) from error


def add_guest(connection: Connection, user_id: str) -> int:
    """Add a guest and return the row's id."""
    return int(execute(connection, ADD_GUEST, {"user_id": user_id})[0][0])


def change(connection: Connection, user: User, changes: Mapping[str, Any]) -> User:
    """Change username, email or city of a locked account. Raises EmailTaken, UsernameTaken."""
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    if changes.get("username") is not None:
        _require_free(connection, changes["username"], user.user_id)
    values = {name: changes.get(name, getattr(user, name)) for name in ("username", "email", "city")}
    try:
        return User(*execute(connection, CHANGE, values | {"id": user.id})[0])
    except (IntegrityError, ProgrammingError) as error:
        raise _explain(error) from error


def set_location(
    user_id: str, latitude: float | None, longitude: float | None, city: str | None, *, keep_city: bool = False
) -> User:
    """Set a user's location, or clear it with None; ``keep_city`` leaves the stored city as it is.

    Raises InvalidToken if there is no such user.
    """
    rows = write(SET_LOCATION, user_id=user_id, latitude=latitude, longitude=longitude, city=city, keep_city=keep_city)
    if not rows:
        raise InvalidToken("The user of this token no longer exists; register or log in again.")
    return User(*rows[0])


def set_password(connection: Connection, user: User, password_hash: str) -> None:
    """Replace the password hash of a user."""
    execute(connection, REPLACE_HASH, {"id": user.id, "password_hash": password_hash})


def set_email_verified(connection: Connection, user: User) -> None:
    """Record that the holder of a locked account has proven that its address is theirs."""
    execute(connection, VERIFY_EMAIL, {"id": user.id})


def rehash(user: User, password_hash: str) -> None:
    """Replace an outdated password hash with a new hash of the same password."""
    write(REHASH, id=user.id, old=user.password_hash, new=password_hash)


def set_role(connection: Connection, user_id: str, role: Role, *, email: str | None = None) -> User:
    """Set an account's role and return the account, locked, as it was before.

    ``email`` is the account's email when the role was decided on. Its owner may change it at any moment, and whoever
    has the mailbox can set the password: a role meant for one mailbox must not go to another.
    Raises NotFound if there is no such account, and Conflict if it is the last admin or its email has changed.
    """
    admins = [row[0] for row in execute(connection, LOCK_ADMINS)]
    user = lock(connection, user_id)
    if user is None or user.email is None:
        raise NotFound(f"There is no account {user_id}.")
    if email is not None and canonical_email(email) != canonical_email(user.email):
        raise Conflict("email: the account has another email by now; look the account up again.")
    if role != "admin" and admins == [user_id]:
        raise Conflict("This is the only admin; give another account the role admin first.")
    execute(connection, SET_ROLE, {"id": user.id, "role": role})
    return user


def page(place: Place, email: str | None, role: str | None) -> tuple[list[User], int, str | None]:
    """Return a page of accounts, newest first, their total number and the next page's cursor.

    ``email`` and ``role`` filter them. Raises InvalidRequest for an invalid cursor.
    """
    filters = {"email": None if email is None else canonical_email(email), "typed": email, "role": role}
    rows, total, following = STAFF_LIST.read(place, **filters)
    return [User(*row) for row in rows], total, following


def preferences(user_id: str) -> tuple[list[tuple[str, str, str | None, float, float]], tuple[float, ...] | None]:
    """Return rows ``(kind, key, category name, current score, share within the kind)``, and the price statistics.

    The second value is the decayed ``(weight, log_sum, square_sum)`` of log prices; None without priced events.
    """
    from shared.domain.preferences import HALF_LIFE, MAX_HALVINGS

    rows = read(PREFERENCES, user_id=user_id, half_life_s=HALF_LIFE.total_seconds(), max_halvings=MAX_HALVINGS)
    band = read_one(PRICE_BAND, user_id=user_id)
    return [(r[0], r[1], r[2], float(r[3]), float(r[4] or 0)) for r in rows], None if band is None else tuple(band)
