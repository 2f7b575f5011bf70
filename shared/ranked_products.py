"""The common part of all recommendation responses: products with their rank."""

from collections.abc import Iterable
from typing import Any


def ranked_products(products: Iterable[tuple[dict[str, Any], float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return RankedProducts from ``(product, score, further fields)``, best first."""
    return [
        {**product, "score": round(score, 6), "rank": rank, **fields}
        for rank, (product, score, fields) in enumerate(products, start=1)
    ]
