"""Passwords: what may be one, and how it is kept: argon2id, with parameters that may grow.

m = 19 MiB, t = 2, p = 1 is OWASP's recommendation of 2026 (Password Storage Cheat Sheet). A hash made by other
parameters still verifies, and is then made anew. argon2 is imported with the first password.
"""

import re
import threading
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.errors import WeakPassword

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB: Final = 19_456
TIME_COST: Final = 2
PARALLELISM: Final = 1
MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 128
# each takes MEMORY_KIB and a whole processor: more at once would only be slower together, and need memory
HASHES_AT_ONCE: Final = 4
_turn = threading.BoundedSemaphore(HASHES_AT_ONCE)

_LIST: Final = Path(__file__).with_name("common_passwords.txt")
# rows and columns of keyboards, and what is counted
_RUNS: Final = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "azertyuiop",
    "qsdfghjklm",
    "qwertzuiopü",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "zaq1xsw2cde3vfr4bgt5nhy6mju7ki8lo9p0",
    "zaqxswcdevfrbgtnhymjukilop",
)
_LEET: Final = str.maketrans("@4310$5!7", "aaeiossit")


def normal(password: str) -> str:
    """Return the password as it is hashed: NFKC, so that it does not matter how a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password)


@cache
def _common() -> frozenset[str]:
    lines = _LIST.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_run(text: str) -> bool:
    """Whether the text only repeats one or two characters, or goes along a keyboard or the alphabet."""
    if len(set(text)) <= 2:
        return True
    half = len(text) // 2
    if len(text) % 2 == 0 and half >= 4 and text[:half] == text[half:]:
        return _is_run(text[:half]) or text[:half] in _common()
    return any(text in way or text[::-1] in way or text in way * 2 for way in _RUNS)


def check(password: str, *personal: str) -> str:
    """Return the password as it is hashed. Raises WeakPassword for one that would be among the first guesses.

    ``personal`` is what anybody knows of its owner: email, username.
    """
    password = normal(password)
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise WeakPassword(f"A password has {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise WeakPassword("A password cannot have control characters.")
    plain = password.lower()
    known = {part for one in personal for part in (one.lower(), one.lower().partition("@")[0]) if len(part) > 2}
    guesses = {plain, plain.translate(_LEET), re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)}
    guesses |= {re.sub(r"^[\W\d_]+|[\W\d_]+$", "", re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain).translate(_LEET))}
    if guesses & known:
        raise WeakPassword("The password is the email or the username; choose another.")
    if guesses & _common() or _is_run(plain) or (plain.isdigit() and len(set(plain)) <= 4):
        raise WeakPassword("The password is among those that are guessed first; choose a longer or an unusual one.")
    return password


@cache
def _hasher() -> "tuple[PasswordHasher, str]":
    """Return the hasher, and a hash that no password has: a login of nobody takes as long as one of somebody."""
    import secrets

    from argon2 import PasswordHasher
    from argon2.low_level import Type

    made = PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM, hash_len=32, salt_len=16, type=Type.ID)
    return made, made.hash(secrets.token_urlsafe())


def hashed(password: str) -> str:
    """Return the hash of a checked password, with its parameters and salt (PHC string)."""
    with _turn:
        return _hasher()[0].hash(normal(password))


def verify(stored: str | None, password: str) -> bool:
    """Whether the password is that of the hash; None (nobody) takes as long, and is never."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with _turn:
        hasher, nobody = _hasher()
        try:
            return hasher.verify(stored or nobody, normal(password).encode("utf-8", "replace")) and stored is not None
        except (VerificationError, InvalidHashError):
            return False


def outdated(stored: str) -> bool:
    """Whether the hash was made by other parameters than those of today."""
    return _hasher()[0].check_needs_rehash(stored)
