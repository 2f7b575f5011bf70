"""Product references in requests: by Aisle's id, by the shop's own id, or by both. No I/O."""

from collections.abc import Iterable
from typing import NamedTuple, Self

from shared.errors import InvalidRequest


class ProductReference(NamedTuple):
    """A product as named in a request by at least one of its two ids; if both, they must belong to the same product."""

    product_id: int | None = None
    external_id: str | None = None

    @classmethod
    def required(cls, product_id: int | None, external_id: str | None) -> Self:
        """Return the reference. Raises ValueError if it names no product."""
        if product_id is None and external_id is None:
            raise ValueError("give product_id or external_id")
        return cls(product_id, external_id)

    def __str__(self) -> str:
        """Return the product's name in error messages."""
        return f"external_id {self.external_id!r}" if self.product_id is None else str(self.product_id)


def contradiction(product_id: object, external_id: object) -> InvalidRequest:
    """Return the error for two ids that do not belong to the same product."""
    message = f"is not the external_id of product {product_id}; send one of the two ids"
    return InvalidRequest(
        f"external_id: {external_id!r} {message}.",
        errors=[{"field": "external_id", "message": message, "type": "contradiction"}],
    )


def arrays(references: Iterable[ProductReference]) -> tuple[list[int], list[str]]:
    """Return both ids of each as statement parameters; 0 or an empty string, which are never ids, if missing."""
    listed = list(references)
    return [reference.product_id or 0 for reference in listed], [reference.external_id or "" for reference in listed]
