"""Resolve product references of requests, where no other statement of the request does so."""

from typing import Final, NamedTuple

from shared.clients import postgres
from shared.clients.postgres import Connection, execute
from shared.domain.product_references import ProductReference, contradiction
from shared.errors import ProductNotFound

FIND: Final = """
SELECT id, external_id, is_active FROM products
WHERE id = cast(:product_id AS bigint) OR external_id = cast(:external_id AS text)"""


class ProductIds(NamedTuple):
    """Both ids of a product, and whether it is active."""

    product_id: int
    external_id: str
    is_active: bool


def find(reference: ProductReference, connection: Connection | None = None) -> ProductIds | None:
    """Return the product, active or not, or None if there is none.

    Raises InvalidRequest if the reference has two ids that are not the same product's.
    """
    parameters = reference._asdict()
    rows = postgres.read(FIND, **parameters) if connection is None else execute(connection, FIND, parameters)
    found = [ProductIds(int(row[0]), row[1], bool(row[2])) for row in rows]
    if None not in reference and [(product.product_id, product.external_id) for product in found] != [reference]:
        raise contradiction(*reference)
    return found[0] if found else None


def resolve(reference: ProductReference, connection: Connection | None = None) -> ProductIds:
    """Return the product, active or not. Raises ProductNotFound, and InvalidRequest as ``find`` does."""
    product = find(reference, connection)
    if product is None:
        raise ProductNotFound(f"There is no product {reference}.")
    return product


def resolve_active(reference: ProductReference) -> ProductIds:
    """Return the product. Raises ProductNotFound also for an inactive one, and InvalidRequest as ``find`` does."""
    product = find(reference)
    if product is None or not product.is_active:
        raise ProductNotFound(f"There is no product {reference}.")
    return product


def id_of(reference: ProductReference, connection: Connection | None = None) -> int:
    """Return Aisle's product id: the given one or, for an ``external_id``, from one query. Raises like ``resolve``."""
    if reference.product_id is not None and reference.external_id is None:
        return reference.product_id
    return resolve(reference, connection).product_id
