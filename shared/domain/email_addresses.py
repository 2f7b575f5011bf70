"""Validation of the form of email addresses."""

import re
from typing import Final

from shared.domain.text import ascii_email, canonical_email

EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{1,62}")


def valid_email(value: str) -> str:
    """Return the email in its canonical form; raise ValueError if it does not have the form of an email address."""
    # Invisible characters are rejected too: nobody could type them to log in, and a domain's canonical form drops some.
    is_printable = value.isprintable()
    value = canonical_email(value)
    try:
        address = ascii_email(value)
    except ValueError:
        address = ""
    if (
        not (is_printable and value.isprintable())
        or max(len(value), len(address)) > 254
        or not EMAIL.fullmatch(address)
        or ".." in value
        or value.startswith(".")
    ):
        raise ValueError("must be an email address, such as name@example.com")
    return value
