"""Stored emails in their canonical form, for rows written before shared/domain/text.py defined it."""

import logging
from typing import Final

import orjson

from shared.clients.postgres import execute, read, transaction
from shared.domain.text import canonical_email

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 1000
# Emails that may not be canonical: not ASCII, not lower case, or with an encoded label.
CANDIDATES: Final = f"""
SELECT id, email FROM users
WHERE email IS NOT NULL AND id > :after
  AND (octet_length(email) <> length(email) OR email <> lower(email) OR email LIKE '%xn--%')
ORDER BY id LIMIT {BATCH_ROWS}"""
# An email whose canonical form another account has stays as it is: that account is found by the canonical form, this
# one by the email as typed.
CHANGE: Final = """
UPDATE users u SET email = c.canonical
FROM jsonb_to_recordset(cast(:changes AS jsonb)) AS c(id bigint, stored text, canonical text)
WHERE u.id = c.id AND u.email = c.stored
  AND NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = lower(c.canonical) AND o.id <> u.id)
RETURNING u.id"""
# A different form of an address is the same mailbox; the trigger of migration 0009 only handles case.
VERIFIED: Final = """
SELECT id, email_verified_at FROM users WHERE id = ANY (cast(:ids AS bigint[])) ORDER BY id FOR UPDATE"""
KEEP_VERIFIED: Final = """
UPDATE users u SET email_verified_at = v.at
FROM jsonb_to_recordset(cast(:verified AS jsonb)) AS v(id bigint, at timestamptz) WHERE u.id = v.id"""


def make_canonical() -> int:
    """Convert stored emails to their canonical form, in batches, and return how many changed; idempotent.

    If the emails of several accounts have the same canonical form, the account already stored with it, ignoring case,
    keeps it; otherwise the oldest account gets it. The others keep their emails, with which their owners can still log
    in, and are logged, because only staff can decide whose mailbox it is. A verified email stays verified.
    """
    changed, after = 0, 0
    while rows := read(CANDIDATES, after=after):
        after = rows[-1][0]
        changes: dict[str, tuple[int, str]] = {}
        kept: list[int] = []
        for user_id, email in rows:
            canonical = canonical_email(email)
            if canonical == email:
                continue
            if canonical in changes:
                kept.append(user_id)
            else:
                changes[canonical] = (user_id, email)
        if changes:
            with transaction() as connection:
                listed = [
                    {"id": user_id, "stored": email, "canonical": canonical}
                    for canonical, (user_id, email) in changes.items()
                ]
                verified = execute(connection, VERIFIED, {"ids": [change["id"] for change in listed]})
                done = {row[0] for row in execute(connection, CHANGE, {"changes": orjson.dumps(listed).decode()})}
                kept_verified = [
                    {"id": row[0], "at": row[1]} for row in verified if row[1] is not None and row[0] in done
                ]
                if kept_verified:
                    execute(connection, KEEP_VERIFIED, {"verified": orjson.dumps(kept_verified).decode()})
            changed += len(done)
            kept += [user_id for user_id, _email in changes.values() if user_id not in done]
        if kept:
            log.warning("accounts have an email that another account has in its canonical form", extra={"rows": kept})
    return changed
