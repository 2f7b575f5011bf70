"""Counts of failed logins and sent messages, to slow down guessing of passwords and of which emails have accounts.

"Address" means the client's IP address. The limits are:

* by account and address together: an attacker delays only themselves
* by address: against one client guessing at many accounts; honest people share addresses, so it allows more attempts
* messages by mailbox: nobody can flood a mailbox with links; the last link sent stays valid meanwhile
* messages by address: a client cannot make the shop write to many strangers by registering their emails
* by account: against many addresses guessing at one account; addresses from which it has logged in before are exempt

An attempt is counted before its password is verified, so that concurrent attempts cannot bypass the limit; a success
resets the count. Attempts on accounts that do not exist are counted too. Only digests of emails and addresses are
stored.
"""

import hashlib
import math
from typing import Any, Final, NamedTuple

from shared.clients.postgres import read_one, write
from shared.domain.text import canonical_email
from shared.errors import LockedOut


class Limit(NamedTuple):
    """The number of failures without a wait, the first wait after them (doubled by each further failure), the longest
    wait, and the time without an attempt after which failures are forgotten; times in seconds."""

    free: int
    first_s: float
    longest_s: float
    forgotten_s: float


PAIR: Final = Limit(5, 2, 900, 86_400)
ADDRESS: Final = Limit(50, 2, 900, 3_600)
ACCOUNT: Final = Limit(100, 2, 900, 86_400)
# Counts messages, not failures.
MAIL: Final = Limit(5, 60, 3_600, 86_400)
SENDER: Final = Limit(50, 60, 3_600, 3_600)
# Days for which an address stays known after a login.
KNOWN_DAYS: Final = 30

_IS_KNOWN: Final = f"""EXISTS (
    SELECT FROM login_failures WHERE subject = :pair AND succeeded_at > now() - interval '{KNOWN_DAYS} days')"""
GET_WAIT: Final = f"""
SELECT extract(epoch FROM max(locked_until) - clock_timestamp())::float8 FROM login_failures
WHERE locked_until > clock_timestamp()
  AND (subject = :pair OR subject = :address OR subject = :account AND NOT {_IS_KNOWN})"""
_COUNT: Final = """
INSERT INTO login_failures AS f (subject, account, failures, last_at)
SELECT :subject, cast(:account AS bytea), 1, clock_timestamp() WHERE {condition}
ON CONFLICT (subject) DO UPDATE SET
    failures = CASE WHEN f.last_at < clock_timestamp() - make_interval(secs => :forgotten_s) THEN 1
                    ELSE f.failures + 1 END,
    account = EXCLUDED.account,
    last_at = clock_timestamp(),
    locked_until = CASE WHEN f.last_at >= clock_timestamp() - make_interval(secs => :forgotten_s)
                             AND f.failures + 1 >= :free
                        THEN clock_timestamp() + make_interval(secs => least(
                            :longest_s, :first_s * power(2::float8, least(f.failures + 1 - :free, 30)))) END
WHERE f.locked_until IS NULL OR f.locked_until <= clock_timestamp()
RETURNING 1"""
COUNT: Final = _COUNT.format(condition="true")
COUNT_UNLESS_KNOWN: Final = _COUNT.format(condition=f"NOT {_IS_KNOWN}")
TAKE_BACK: Final = """
UPDATE login_failures SET failures = failures - 1, locked_until = NULL WHERE subject = :pair OR subject = :account"""
SUCCEED: Final = """
WITH ended AS (DELETE FROM login_failures WHERE subject = :account)
INSERT INTO login_failures (subject, account, failures, last_at, succeeded_at)
VALUES (:pair, :account, 0, clock_timestamp(), clock_timestamp())
ON CONFLICT (subject) DO UPDATE SET failures = 0, locked_until = NULL, account = EXCLUDED.account,
    last_at = EXCLUDED.last_at, succeeded_at = EXCLUDED.succeeded_at"""


def account_subject(email: str) -> bytes:
    """Return the key of an account by its email, without storing the email.

    The key is derived from the canonical email; otherwise each spelling would have its own attempts.
    """
    return hashlib.sha256(b"account:" + canonical_email(email).encode("utf-8", "replace")).digest()


def address_subject(address: str) -> bytes:
    """Return the key of a client's address, as determined at the edge, without storing the address."""
    return hashlib.sha256(b"address:" + address.encode("utf-8", "replace")).digest()


def _pair_subject(account: bytes, address: str) -> bytes:
    return hashlib.sha256(b"pair:" + account + address.encode("utf-8", "replace")).digest()


def _mail_subject(email: str) -> bytes:
    """Return the key of a mailbox; `ada+shop@…` and `ada@…` are usually the same mailbox."""
    local_part, at, domain = canonical_email(email).rpartition("@")
    return hashlib.sha256(b"mail:" + account_subject(local_part.partition("+")[0] + at + domain)).digest()


def _sender_subject(address: str) -> bytes:
    return hashlib.sha256(b"sender:" + address.encode("utf-8", "replace")).digest()


def _locked_out(seconds: float) -> LockedOut:
    wait_s = max(1, math.ceil(seconds))
    return LockedOut(f"Too many failed attempts; try again in {wait_s} seconds.", headers={"Retry-After": str(wait_s)})


def _count(sql: str, subject: bytes, limit: Limit, **parameters: Any) -> bool:
    """Count an attempt; return False if the subject is locked."""
    return bool(
        write(
            sql,
            subject=subject,
            free=limit.free,
            first_s=limit.first_s,
            longest_s=limit.longest_s,
            forgotten_s=limit.forgotten_s,
            **parameters,
        )
    )


def begin_attempt(email: str, address: str) -> None:
    """Count an attempt on an account from an address. Raises LockedOut, with the time to wait, if it is delayed."""
    account = account_subject(email)
    pair = _pair_subject(account, address)
    row = read_one(GET_WAIT, pair=pair, account=account, address=address_subject(address))
    if row is not None and row[0] is not None:
        raise _locked_out(row[0])
    if not _count(COUNT, pair, PAIR, account=account):
        # A concurrent attempt has locked the pair since the check above.
        raise _locked_out(PAIR.first_s)
    # Does not refuse this attempt; the check above refuses the next one.
    _count(COUNT_UNLESS_KNOWN, account, ACCOUNT, account=account, pair=pair)


def record_failure(address: str) -> None:
    """Count a failed login from an address."""
    _count(COUNT, address_subject(address), ADDRESS, account=None)


def record_success(email: str, address: str) -> None:
    """Reset the attempts on an account after a successful login, and remember the address."""
    account = account_subject(email)
    write(SUCCEED, account=account, pair=_pair_subject(account, address))


def may_mail(email: str) -> bool:
    """Count a message to a mailbox; return False if too many were sent to it recently.

    The count is not tied to an account, so it survives erasure: registering and erasing a mailbox repeatedly does not
    cause more messages.
    """
    return _count(COUNT, _mail_subject(email), MAIL, account=None)


def may_cause_mail(address: str) -> bool:
    """Count a message that a client triggers to an unverified mailbox; return False if there were too many recently."""
    return _count(COUNT, _sender_subject(address), SENDER, account=None)


def take_back(email: str, address: str) -> None:
    """Undo the count of an attempt that revealed nothing about the email."""
    account = account_subject(email)
    write(TAKE_BACK, account=account, pair=_pair_subject(account, address))
