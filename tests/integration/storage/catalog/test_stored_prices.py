"""Prices as they are stored: two decimals, and the third only where it is not zero."""

from decimal import Decimal

import pytest

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes


def write(external_id: str, price: str, **more: object) -> None:
    row = {"external_id": external_id, "name": external_id, "price": Decimal(price), "currency": "KWD", **more}
    with postgres.transaction() as connection:
        assert bulk_writes.upsert(connection, [ProductWrite.model_validate(row)]).refused == []


def stored(external_id: str) -> tuple[str, str | None]:
    row = postgres.read("SELECT price::text, list_price::text FROM products WHERE external_id = :id", id=external_id)
    return row[0][0], row[0][1]


@pytest.mark.parametrize(
    ("price", "text"),
    [
        ("7", "7.00"),
        ("7.5", "7.50"),
        ("7.50", "7.50"),
        ("7.500", "7.50"),
        ("7.125", "7.125"),
        ("0", "0.00"),
        ("0.001", "0.001"),
        ("1E3", "1000.00"),
    ],
)
def test_a_price_is_stored_as_an_export_gives_it_back(env: object, price: str, text: str) -> None:
    write("bystander", "3.1")
    write("new", price, list_price=Decimal(price))
    write("known", "9.999")
    write("known", price, list_price=Decimal(price))
    assert stored("new") == stored("known") == (text, text)
    assert stored("bystander") == ("3.10", None)


def test_the_same_price_in_other_digits_is_no_change(env: object) -> None:
    write("a", "7.5")
    with postgres.transaction() as connection:
        row = ProductWrite.model_validate(
            {"external_id": "a", "name": "a", "price": Decimal("7.500"), "currency": "KWD"}
        )
        result = bulk_writes.upsert(connection, [row])
    assert (result.created, result.updated, len(result.products)) == ([], [], 1)
