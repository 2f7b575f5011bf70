"""Failed logins, counted by account (existing or not) and by client address, to slow down guessing of passwords.

An attempt on an account counts before its password is verified, so that concurrent attempts cannot avoid the limit; a
success deletes the count. Honest people share addresses, so an address has more attempts, and only failures count.
"""

import hashlib
import math
from typing import Final, NamedTuple

from shared.clients.postgres import read_one, write
from shared.errors import LockedOut


class Limit(NamedTuple):
    """How many failures are free, the first wait after them (doubled by each further failure), the longest wait, and
    after how long without an attempt the failures are forgotten."""

    free: int
    first_s: float
    longest_s: float
    forgotten_s: float


ACCOUNT: Final = Limit(5, 2, 900, 86_400)
ADDRESS: Final = Limit(50, 2, 900, 3_600)

GET_WAIT: Final = """
SELECT extract(epoch FROM max(locked_until) - clock_timestamp())::float8 FROM login_failures
WHERE subject = ANY (:subjects) AND locked_until > clock_timestamp()"""
COUNT: Final = """
INSERT INTO login_failures AS f (subject, failures, last_at) VALUES (:subject, 1, clock_timestamp())
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN f.last_at < clock_timestamp() - make_interval(secs => :forgotten_s) THEN 1
                    ELSE f.failures + 1 END,
    last_at = clock_timestamp(),
    locked_until = CASE WHEN f.last_at >= clock_timestamp() - make_interval(secs => :forgotten_s)
                             AND f.failures + 1 >= :free
                        THEN clock_timestamp() + make_interval(secs => least(
                            :longest_s, :first_s * power(2::float8, least(f.failures + 1 - :free, 30)))) END
WHERE f.locked_until IS NULL OR f.locked_until <= clock_timestamp()
RETURNING 1"""
DELETE: Final = "DELETE FROM login_failures WHERE subject = :subject"


def account_subject(email: str) -> bytes:
    """Return the key of an account by its email, without storing the email."""
    return hashlib.sha256(b"account:" + email.strip().lower().encode("utf-8", "replace")).digest()


def address_subject(address: str) -> bytes:
    """Return the key of a client's address, without storing the address."""
    return hashlib.sha256(b"address:" + address.encode("utf-8", "replace")).digest()


def _locked_out(seconds: float) -> LockedOut:
    wait_s = max(1, math.ceil(seconds))
    return LockedOut(f"Too many failed attempts; try again in {wait_s} seconds.", headers={"Retry-After": str(wait_s)})


def _count(subject: bytes, limit: Limit) -> bool:
    """Count an attempt; return False if the subject is locked."""
    return bool(
        write(
            COUNT,
            subject=subject,
            free=limit.free,
            first_s=limit.first_s,
            longest_s=limit.longest_s,
            forgotten_s=limit.forgotten_s,
        )
    )


def begin_attempt(email: str, address: str) -> None:
    """Count an attempt on an account. Raises LockedOut, with the time to wait, if the account or address is locked."""
    subjects = [account_subject(email), address_subject(address)]
    row = read_one(GET_WAIT, subjects=subjects)
    if row is not None and row[0] is not None:
        raise _locked_out(row[0])
    if not _count(subjects[0], ACCOUNT):
        # a concurrent attempt locked the account since the check above
        raise _locked_out(ACCOUNT.first_s)


def record_failure(address: str) -> None:
    """Count a failed login from an address."""
    _count(address_subject(address), ADDRESS)


def record_success(email: str) -> None:
    """Delete the counted attempts on an account, after a successful login."""
    write(DELETE, subject=account_subject(email))
