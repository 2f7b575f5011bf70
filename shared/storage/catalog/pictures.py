"""The data from which a product's placeholder picture is drawn."""

from typing import Final, NamedTuple

from shared.clients.postgres import read_one
from shared.errors import ProductNotFound

SUBJECT: Final = """
SELECT p.name, c.path FROM products p LEFT JOIN categories c ON c.id = p.category_id
WHERE p.id = :product_id AND p.is_active"""


class Subject(NamedTuple):
    """A product's title and its category path."""

    title: str
    category_path: str | None


def read_subject(product_id: int) -> Subject:
    """Return the data that an active product's picture shows. Raises ProductNotFound."""
    row = read_one(SUBJECT, product_id=product_id)
    if row is None:
        raise ProductNotFound(f"There is no product {product_id}.")
    return Subject(*row)
