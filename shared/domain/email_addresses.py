"""Email addresses: which texts have the form of one."""

import re
import unicodedata
from typing import Final

EMAIL: Final = re.compile(r"[^\s@<>\"(),:;\[\]\\]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_][\w-]{1,62}")


def valid_email(value: str) -> str:
    """Return the email in NFKC; raise ValueError if it has not the form of an email address."""
    value = unicodedata.normalize("NFKC", value)
    # invisible characters too: nobody could type them to log in
    if (
        len(value) > 254
        or not value.isprintable()
        or not EMAIL.fullmatch(value)
        or ".." in value
        or value.startswith(".")
    ):
        raise ValueError("must be an email address, such as name@example.com")
    return value
