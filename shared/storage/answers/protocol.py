"""The protocol of stored answers: Redis keys, scopes, and epochs. No I/O.

A stored answer is ``epoch + b"\\n" + body``. It is valid only while its epoch equals the current epoch of its scope,
a field of the hash ``epochs``. Flushing a scope or activating a model is therefore one HSET of a number that was never
an epoch before; every instance sees it on its next read, and outdated answers expire. Without an epoch, as in an empty
Redis, no answer is valid. No KEYS, no SCAN (docs/decisions/0002-epochs-instead-of-versions-in-keys.md).

===================================================  ===============================================  ===============
key                                                  value                                            scope
===================================================  ===============================================  ===============
``epochs``                                           hash: scope → epoch
``rec:{user}``                                       hash: raw query string → personal answer; also   recommendations
                                                     ``z:``, gzipped, and ``r:``, its request
``recgen:{user}``                                    number of the user's last change, their generation
``sim:{product}:{k}[:{kind}][:explain]``             answer of /similar-products                      similar
``together:{products}:{k}:{in_stock}[:explain]``     answer of /frequently-bought-together            similar
``trending:{window}:{category}:{k}``                 answer of /trending                              trending
``products:one:{product}``                           answer of /products/{id}                         products
``products:categories``, ``products:{kind}:{hash}``  other answers of the catalog                     products
``admin:dashboard``                                  answer of /admin/dashboard                       dashboard
``popular``                                          sorted set: product id by number of purchases
``popular:products``                                 hash: product id → product as JSON
===================================================  ===============================================  ===============
"""

import secrets
import time
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import orjson

from shared.domain.category_references import CategoryReference
from shared.domain.product_references import ProductReference

EPOCHS: Final = "epochs"
RECOMMENDATIONS: Final = "recommendations"
SIMILAR: Final = "similar"
TRENDING: Final = "trending"
DASHBOARD: Final = "dashboard"
PRODUCTS: Final = "products"
SCOPES: Final = (RECOMMENDATIONS, SIMILAR, TRENDING, DASHBOARD, PRODUCTS)
# scopes whose answers contain products
PRODUCT_SCOPES: Final = (PRODUCTS, SIMILAR, RECOMMENDATIONS, TRENDING)
# scopes whose answers depend on the active model
MODEL_SCOPES: Final = (SIMILAR, RECOMMENDATIONS, DASHBOARD)
# scopes whose answers depend on the shop's rules
RULE_SCOPES: Final = (RECOMMENDATIONS, SIMILAR, TRENDING)

# Seconds for which a catalog answer is stored. A catalog change drops it; view counts may be this old.
CATALOG_TTL_S: Final = 60

# The kind of /similar-products that its cache key leaves out.
HYBRID: Final = "hybrid"
POPULAR: Final = "popular"
POPULAR_PRODUCTS: Final = "popular:products"
DASHBOARD_KEY: Final = "admin:dashboard"
CATEGORIES_KEY: Final = "products:categories"


# Prefixes of the raw query string in a user's hash: the gzipped answer, and the request that it answers.
GZIPPED_FIELD: Final = b"z:"
REQUEST_FIELD: Final = b"r:"


def user_key(user_id: str) -> str:
    """Return the key of the hash that holds a user's answers."""
    return f"rec:{user_id}"


def generation_key(user_id: str) -> str:
    """Return the key of a user's generation, the number of their last change."""
    return f"recgen:{user_id}"


def product_key(product_id: int) -> str:
    """Return the key of a product's single-product answer."""
    return f"products:one:{product_id}"


def catalog_key(kind: str, *parameters: Any) -> str:
    """Return the key of any other catalog answer, such as a page or suggestions, by its parameters."""
    return f"products:{kind}:{blake2b(orjson.dumps(parameters), digest_size=16).hexdigest()}"


def named(product: ProductReference) -> str:
    """Return the product reference as part of a key. Two references to one product have separate answers."""
    if product.external_id is None:
        return str(product.product_id)
    digest = blake2b(product.external_id.encode(), digest_size=16).hexdigest()
    return f"{product.product_id or ''}e{digest}"


def similar_products_key(product: ProductReference, k: int, kind: str = HYBRID, explain: bool = False) -> str:
    """Return the key of a product's similar products."""
    return f"sim:{named(product)}:{k}{'' if kind == HYBRID else f':{kind}'}{':explain' if explain else ''}"


def bought_together_key(context: Sequence[ProductReference], k: int, in_stock: bool, explain: bool = False) -> str:
    """Return the key of the products bought together with ``context``, whose order matters."""
    return f"together:{','.join(map(named, context))}:{k}:{int(in_stock)}{':explain' if explain else ''}"


def trending_key(window: str, category: CategoryReference, k: int) -> str:
    """Return the key of the trending products of a window."""
    name = category.category and blake2b(category.category.encode(), digest_size=16).hexdigest()
    return f"trending:{window}:{category.category_id or ''}{(name and f'n{name}') or ''}:{k}"


def fresh_number() -> int:
    """Return a number never used before as an epoch or generation by any process: the time plus three random digits.

    A counter would restart after its key was lost, and answers from before would become valid again.
    """
    return time.time_ns() // 1000 * 1000 + secrets.randbelow(1000)


def epoch_prefix(epoch: bytes) -> bytes:
    """Return the prefix of every valid answer of this epoch."""
    return epoch + b"\n"


def valid_body(stored: bytes | None, epoch: bytes | None) -> bytes | None:
    """Return the body of a stored answer, or None if there is no answer or its epoch is outdated or unknown."""
    if stored is None or epoch is None:
        return None
    prefix = epoch_prefix(epoch)
    return stored[len(prefix) :] if stored.startswith(prefix) else None
