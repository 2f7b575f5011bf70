"""Dropping stored answers after a write.

Each function returns False if Redis failed; the answers are then dropped once it is back (missed.py).
"""

from collections.abc import Iterable

from shared.storage.answers.missed import MISSED, Invalidation
from shared.storage.answers.protocol import SCOPES


def flush(*scopes: str) -> bool:
    """Invalidate every stored answer of these scopes; without arguments, of all scopes."""
    return MISSED.drop(Invalidation(scopes=set(scopes or SCOPES)))


def forget_users(user_ids: Iterable[str]) -> bool:
    """Drop every stored answer of these users, and keep answers being computed now from being stored."""
    return MISSED.drop(Invalidation(user_ids=set(user_ids)))


def forget_products(product_ids: Iterable[int]) -> bool:
    """Drop the stored single-product answer of each of these products."""
    return MISSED.drop(Invalidation(product_ids=set(product_ids)))


def forget_keys(keys: Iterable[str]) -> bool:
    """Drop the cached copies of Postgres rows stored under these keys."""
    return MISSED.drop(Invalidation(keys=set(keys)))


def make_up_for_missed() -> int:
    """Flush the scopes that processes could not flush before they exited; return how many."""
    return MISSED.flush_recorded()
