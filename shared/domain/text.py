"""Canonical text: the single form in which a text is stored and looked up, however a keyboard or feed composes it.

* emails: NFKC, lower case, the domain as Unicode labels; see ``canonical_email``
* what the catalog shows and filters by (names, categories, brands, tags, the shop's own product ids), and searches: NFC
* usernames and cities: NFKC

User ids, session ids and event ids are never changed: programs issue them and compare them byte by byte, and if two ids
became one, one person would get another's data. docs/decisions/0026-canonical-text.md has the reasons.
"""

import re
from collections.abc import Callable
from typing import Final, Literal
from unicodedata import normalize

from pydantic import BeforeValidator

# A composed character has at most four parts, so a text longer than this many times its limit exceeds it in any form.
MAX_PARTS: Final = 4
_DOT_ABOVE_I: Final = re.compile("i\u0307+")
# The form, after NFKC, of other scripts' full stops that also separate labels (RFC 3490, section 3.1).
_FULL_STOP: Final = "\u3002"
_ENCODED_LABEL: Final = "xn--"


def canonical_name(value: str) -> str:
    """Return a catalog text or a search in the form in which it is stored and compared: NFC, case unchanged."""
    return normalize("NFC", value)


def _before(form: Literal["NFC", "NFKC"], most: int) -> BeforeValidator:
    def canonical(value: object) -> object:
        # Sorting combining marks is quadratic, so a text that will exceed its limit anyway is left unchanged.
        return normalize(form, value) if isinstance(value, str) and len(value) <= MAX_PARTS * most else value

    return BeforeValidator(canonical)


def nfc(most: int) -> BeforeValidator:
    """Return a validator that converts a text of at most ``most`` characters to NFC.

    Place it after the type's limits: a validator of this kind runs before those to its left.
    """
    return _before("NFC", most)


def nfkc(most: int) -> BeforeValidator:
    """Return a validator that converts a text of at most ``most`` characters to NFKC; place it like ``nfc``."""
    return _before("NFKC", most)


def _with_domain(email: str, change: Callable[[str], str]) -> str:
    local, at, domain = email.rpartition("@")
    return local + at + change(domain)


def _unicode_labels(domain: str) -> str:
    """Return a domain with Unicode labels; a domain that IDNA does not allow stays as it is."""
    domain = domain.replace(_FULL_STOP, ".")
    if domain.isascii() and _ENCODED_LABEL not in domain:
        return domain
    # Imported on demand: hardly any email needs its tables.
    import idna

    try:
        return idna.decode(idna.encode(domain, uts46=True))
    except UnicodeError:
        return domain


def _ascii_labels(domain: str) -> str:
    if domain.isascii() and _ENCODED_LABEL not in domain:
        return domain
    import idna

    return idna.encode(domain, uts46=True).decode()


def canonical_email(value: str) -> str:
    """Return the form in which an email is stored, looked up and counted. Never raises; accepts any text.

    The form is NFKC, stripped and in lower case, with Unicode labels in the domain (``xn--mnchen-3ya.de`` becomes
    ``münchen.de``). Lower case is used instead of case folding, which would turn ``ß`` into ``ss``, a different
    mailbox. The combining dot that lower-casing ``İ`` leaves above ``i`` is dropped, since every keyboard writes ``i``;
    ``ı`` remains a separate letter.
    """
    # Lower-casing may leave a text that NFKC composes, and vice versa.
    text = normalize("NFKC", normalize("NFKC", value).strip().lower())
    text = normalize("NFKC", _DOT_ABOVE_I.sub("i", text))
    # An encoded label may contain such an i as well.
    return normalize("NFKC", _DOT_ABOVE_I.sub("i", _with_domain(text, _unicode_labels)))


def ascii_email(value: str) -> str:
    """Return an email in the form that mail systems require, with its domain in ASCII (``xn--mnchen-3ya.de``).

    Raises ValueError if IDNA does not allow the domain.
    """
    return _with_domain(value, _ascii_labels)
