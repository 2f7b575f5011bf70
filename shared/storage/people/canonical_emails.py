"""Stored emails in their canonical form, for rows written before shared/domain/text.py defined it."""

import logging
from typing import Final

import orjson

from shared.clients.postgres import execute, read, transaction
from shared.domain.text import canonical_email

log = logging.getLogger(__name__)

BATCH_ROWS: Final = 1000
# emails that may have another form: not ASCII, not in lower case, or with an encoded label
CANDIDATES: Final = f"""
SELECT id, email FROM users
WHERE email IS NOT NULL AND id > :after
  AND (octet_length(email) <> length(email) OR email <> lower(email) OR email LIKE '%xn--%')
ORDER BY id LIMIT {BATCH_ROWS}"""
# an email that another account has stays as it is: that account is found by the canonical form, this one as typed
CHANGE: Final = """
UPDATE users u SET email = c.canonical
FROM jsonb_to_recordset(cast(:changes AS jsonb)) AS c(id bigint, stored text, canonical text)
WHERE u.id = c.id AND u.email = c.stored
  AND NOT EXISTS (SELECT FROM users o WHERE lower(o.email) = lower(c.canonical) AND o.id <> u.id)
RETURNING u.id"""


def make_canonical() -> int:
    """Bring stored emails into their canonical form, in batches, and return how many changed; idempotent.

    If the emails of several accounts have one canonical form, the account that is stored with it, in any case, keeps
    it, or else the oldest gets it. The others keep their emails, with which their owners still log in, and are logged:
    only staff can say whose mailbox it is.
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
                rows_changed = execute(connection, CHANGE, {"changes": orjson.dumps(listed).decode()})
            done = {row[0] for row in rows_changed}
            changed += len(done)
            kept += [user_id for user_id, _email in changes.values() if user_id not in done]
        if kept:
            log.warning("accounts have an email that another account has in its canonical form", extra={"rows": kept})
    return changed
