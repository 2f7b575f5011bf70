"""Password policy, and password hashing with argon2id.

m = 19 MiB, t = 2, p = 1 is OWASP's recommendation (Password Storage Cheat Sheet). A hash with other parameters still
verifies; the login then replaces it. argon2 is imported on the first password.
"""

import re
import threading
import unicodedata
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from shared.errors import WeakPassword
from shared.gates import HASHING

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB: Final = 19_456
TIME_COST: Final = 2
PARALLELISM: Final = 1
MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 128
# Each hash takes MEMORY_KIB and a CPU; more at a time would be slower overall and take more memory.
MAX_CONCURRENT_HASHES: Final = 4
_slots = threading.BoundedSemaphore(MAX_CONCURRENT_HASHES)

_COMMON_PASSWORDS: Final = Path(__file__).with_name("common_passwords.txt")
# Digits, the alphabet, and rows, columns and zigzags of keyboards.
_SEQUENCES: Final = (
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


def normalize(password: str) -> str:
    """Return the password in NFKC, as it is hashed, so that it does not matter how a keyboard composes its letters."""
    return unicodedata.normalize("NFKC", password)


@cache
def _common() -> frozenset[str]:
    lines = _COMMON_PASSWORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())


def _is_sequence(text: str) -> bool:
    """Return whether the text repeats at most two characters, or follows a keyboard, the digits or the alphabet."""
    if len(set(text)) <= 2:
        return True
    half = len(text) // 2
    if len(text) % 2 == 0 and half >= 4 and text[:half] == text[half:]:
        return _is_sequence(text[:half]) or text[:half] in _common()
    return any(text in sequence or text[::-1] in sequence or text in sequence * 2 for sequence in _SEQUENCES)


def check(password: str, *personal: str) -> str:
    """Return the normalized password. Raises WeakPassword if it would be among an attacker's first guesses.

    ``personal`` is what others know about the owner: email and username.
    """
    password = normalize(password)
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise WeakPassword(f"A password must have {MIN_CHARACTERS} to {MAX_CHARACTERS} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise WeakPassword("A password must not contain control characters.")
    plain = password.lower()
    known = {part for text in personal for part in (text.lower(), text.lower().partition("@")[0]) if len(part) > 2}
    guesses = {plain, plain.translate(_LEET), re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain)}
    guesses |= {re.sub(r"^[\W\d_]+|[\W\d_]+$", "", re.sub(r"^[\W\d_]+|[\W\d_]+$", "", plain).translate(_LEET))}
    if guesses & known:
        raise WeakPassword("The password is the email or the username; choose another one.")
    if guesses & _common() or _is_sequence(plain) or (plain.isdigit() and len(set(plain)) <= 4):
        raise WeakPassword(
            "The password is among the first that an attacker would guess; choose a longer or less common one."
        )
    return password


@cache
def _hasher() -> "tuple[PasswordHasher, str]":
    """Return the hasher, and a hash that no password matches, so that logins without an account take the same time."""
    import secrets

    from argon2 import PasswordHasher
    from argon2.low_level import Type

    hasher = PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM, hash_len=32, salt_len=16, type=Type.ID)
    return hasher, hasher.hash(secrets.token_urlsafe())


def hash_password(password: str) -> str:
    """Return the hash of a password, with parameters and salt, as a PHC string."""
    with HASHING.admit(), _slots:
        return _hasher()[0].hash(normalize(password))


def hash_unknown_password() -> str:
    """Return the hash of a random password that is discarded, so that only a link gives access to the account."""
    import secrets

    return hash_password(secrets.token_urlsafe(32))


def verify(stored: str | None, password: str) -> bool:
    """Return whether the password matches the hash. None (no account) never matches, and takes the same time."""
    from argon2.exceptions import InvalidHashError, VerificationError

    with HASHING.admit(), _slots:
        hasher, unmatched = _hasher()
        try:
            return (
                hasher.verify(stored or unmatched, normalize(password).encode("utf-8", "replace"))
                and stored is not None
            )
        except (VerificationError, InvalidHashError):
            return False


def is_outdated(stored: str) -> bool:
    """Return whether the hash has other parameters than the current ones."""
    return _hasher()[0].check_needs_rehash(stored)
