"""The protocol of stored answers: Redis keys, scopes, and epochs. No I/O.

A stored answer is ``epoch + b"\\n" + body``. It is valid only while its epoch equals the current epoch of its scope,
a field of the hash ``epochs``. Flushing a scope or activating a model is therefore one HINCRBY, which every instance
sees with its next read; outdated answers expire. No KEYS, no SCAN (docs/decisions/0002).

======================  =========================================================================  ==================
key                     value                                                                      module
======================  =========================================================================  ==================
``epochs``              hash: scope → epoch                                                        invalidation
``rec:{user}``          hash: raw query string → personal answer                                   user_answers
``recgen:{user}``       counter of the user's changes, their generation                            user_answers
``sim:…`` and others    one shared answer each; the caller chooses the key                         shared_answers
``popular``             sorted set: product id by number of purchases                              popular_ranking
``popular:products``    hash: product id → product as JSON                                         popular_ranking
======================  =========================================================================  ==================
"""

from typing import Final

EPOCHS: Final = "epochs"
RECOMMENDATIONS: Final = "recommendations"
SCOPES: Final = (RECOMMENDATIONS, "similar", "trending", "dashboard", "products")
# scopes whose answers contain products
PRODUCT_SCOPES: Final = ("products", "similar", RECOMMENDATIONS, "trending")

POPULAR: Final = "popular"
POPULAR_PRODUCTS: Final = "popular:products"


def user_key(user_id: str) -> str:
    """Return the key of the hash that holds a user's answers."""
    return f"rec:{user_id}"


def generation_key(user_id: str) -> str:
    """Return the key of the counter of a user's changes."""
    return f"recgen:{user_id}"


def product_key(product_id: int) -> str:
    """Return the key of the stored answer that shows a single product."""
    return f"products:one:{product_id}"


def epoch_prefix(epoch: bytes | None) -> bytes:
    """Return how a valid answer begins. A scope that was never flushed (None) has epoch 0."""
    return (epoch or b"0") + b"\n"


def valid_body(stored: bytes | None, prefix: bytes) -> bytes | None:
    """Return the body of a stored answer, or None if there is no answer or its epoch is outdated."""
    return stored[len(prefix) :] if stored is not None and stored.startswith(prefix) else None
