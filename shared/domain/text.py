"""Canonical text: the one form in which a text is stored and looked up, however a keyboard or a feed composes it.

* emails: NFKC, lower case, the domain as Unicode labels; see ``canonical_email``
* what the catalog shows and filters by (names, categories, brands, tags, the shop's own product ids), and searches: NFC
* usernames and cities: NFKC

User ids, session ids and event ids are never changed: programs issue them and compare them byte for byte, and two ids
that became one would give one person's data to another. docs/decisions/0026-canonical-text.md has the reasons.
"""

import re
from collections.abc import Callable
from typing import Final, Literal
from unicodedata import normalize

from pydantic import BeforeValidator

# A composed character has at most four parts, so a longer text exceeds its limit in every form.
MAX_PARTS: Final = 4
_DOT_ABOVE_I: Final = re.compile("i\u0307+")
# full stops of other scripts that separate labels too (RFC 3490, section 3.1), after NFKC
_FULL_STOP: Final = "\u3002"
_ENCODED_LABEL: Final = "xn--"


def canonical_name(value: str) -> str:
    """Return a text of the catalog, or a search, as it is stored and compared: in NFC. Its case stays."""
    return normalize("NFC", value)


def _before(form: Literal["NFC", "NFKC"], most: int) -> BeforeValidator:
    def canonical(value: object) -> object:
        # sorting combining marks is quadratic, so a text that its limit refuses anyway is left alone
        return normalize(form, value) if isinstance(value, str) and len(value) <= MAX_PARTS * most else value

    return BeforeValidator(canonical)


def nfc(most: int) -> BeforeValidator:
    """Return the validator that brings a text of at most ``most`` characters into NFC.

    Put it after the limits of the type: a validator of this kind runs before what stands to its left.
    """
    return _before("NFC", most)


def nfkc(most: int) -> BeforeValidator:
    """Return the validator that brings a text of at most ``most`` characters into NFKC, placed like ``nfc``."""
    return _before("NFKC", most)


def _with_domain(email: str, change: Callable[[str], str]) -> str:
    local, at, domain = email.rpartition("@")
    return local + at + change(domain)


def _unicode_labels(domain: str) -> str:
    """Return a domain with Unicode labels; a domain that IDNA does not allow stays as it is."""
    domain = domain.replace(_FULL_STOP, ".")
    if domain.isascii() and _ENCODED_LABEL not in domain:
        return domain
    # imported on demand: nearly no email needs its tables
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
    """Return an email as it is stored, looked up and counted. Never raises: any text is converted in the same way.

    NFKC, stripped and in lower case, the domain with Unicode labels (``xn--mnchen-3ya.de`` is ``münchen.de``). Lower
    case instead of case folding: folding turns ``ß`` into ``ss``, which is another mailbox. The dot that the lower
    case of ``İ`` leaves above ``i`` is dropped, since every keyboard writes ``i``; ``ı`` stays a letter of its own.
    """
    # lower case may leave a text that NFKC composes, and the other way round
    text = normalize("NFKC", normalize("NFKC", value).strip().lower())
    text = normalize("NFKC", _DOT_ABOVE_I.sub("i", text))
    # an encoded label may hold such an i, too
    return normalize("NFKC", _DOT_ABOVE_I.sub("i", _with_domain(text, _unicode_labels)))


def ascii_email(value: str) -> str:
    """Return an email as mail systems want it, its domain in ASCII (``xn--mnchen-3ya.de``).

    Raises ValueError if IDNA does not allow the domain.
    """
    return _with_domain(value, _ascii_labels)
