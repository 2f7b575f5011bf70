"""Guessing passwords is slowed down: by account, whether there is one or not, and by address.

An account's attempt is counted before its password is looked at, so that many at once are no way around; a success
takes the count back. An address is shared by honest people too: it has more attempts, and only its failures count.
"""

import hashlib
import math
from typing import Final, NamedTuple

from shared.clients.postgres import read_one, write
from shared.errors import LockedOut


class Limit(NamedTuple):
    """Failures that cost nothing, the first wait (doubled by each further failure), the longest, and the memory."""

    free: int
    first_s: float
    longest_s: float
    forgotten_s: float


ACCOUNT: Final = Limit(5, 2, 900, 86_400)
ADDRESS: Final = Limit(50, 2, 900, 3_600)

LOCKED: Final = """
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
FORGET: Final = "DELETE FROM login_failures WHERE subject = :subject"


def account_subject(email: str) -> bytes:
    """Return the subject of an email."""
    return hashlib.sha256(b"account:" + email.strip().lower().encode("utf-8", "replace")).digest()


def address_subject(address: str) -> bytes:
    """Return the subject of a client's address."""
    return hashlib.sha256(b"address:" + address.encode("utf-8", "replace")).digest()


def _refuse(seconds: float) -> LockedOut:
    wait_s = max(1, math.ceil(seconds))
    return LockedOut(f"Too many failed attempts; try again in {wait_s} s.", headers={"Retry-After": str(wait_s)})


def _count(subject: bytes, limit: Limit) -> bool:
    """Count an attempt; False when the subject is locked."""
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
    """Count an attempt on an account. Raises LockedOut, with how long, for an account or address that must wait."""
    subjects = [account_subject(email), address_subject(address)]
    row = read_one(LOCKED, subjects=subjects)
    if row is not None and row[0] is not None:
        raise _refuse(row[0])
    if not _count(subjects[0], ACCOUNT):
        # another attempt of the same moment was one too many
        raise _refuse(ACCOUNT.first_s)


def record_failure(address: str) -> None:
    """Count a failure of an address."""
    _count(address_subject(address), ADDRESS)


def record_success(email: str) -> None:
    """Forget the attempts on an account."""
    write(FORGET, subject=account_subject(email))
