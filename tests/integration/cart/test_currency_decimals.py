"""A cart, an order, its payment and its purchases in currencies without and with three decimals, exact to the end."""

from decimal import Decimal

import pytest

from shared.clients import postgres
from shared.storage.operations import shop
from tests.integration.cart.conftest import Shopper


@pytest.mark.parametrize(
    ("currency", "prices", "line_total", "total"),
    [("KWD", ("4.255", "0.001"), "12.765", "12.766"), ("JPY", ("1299", "1"), "3897", "3898")],
)
def test_prices_are_exact_from_the_cart_to_the_payment(
    ann: Shopper, bob: Shopper, currency: str, prices: tuple[str, str], line_total: str, total: str
) -> None:
    postgres.write("UPDATE shop SET currency = :currency", currency=currency)
    shop.forget()
    for product_id, price in enumerate(prices, 1):
        postgres.write("UPDATE products SET price = cast(:price AS numeric) WHERE id = :id", price=price, id=product_id)
        assert ann.add(product_id, 3 if product_id == 1 else 1).status_code == 201
    assert bob.add(2).status_code == 201
    cart = ann.cart()
    assert [item["line_total"] for item in cart["items"]] == [float(line_total), float(prices[1])]
    assert cart["total"] == float(total)
    order = ann.check_out(expected_total=float(total)).json()
    assert order["total"] == float(total)
    assert {item["product_id"]: item["price"] for item in order["items"]} == {1: float(prices[0]), 2: float(prices[1])}
    stored = postgres.read("""
        SELECT o.total, p.amount, (SELECT array_agg(i.price ORDER BY i.product_id) FROM order_items i)
        FROM orders o JOIN payments p ON p.order_id = o.id""")
    assert [tuple(row) for row in stored] == [(Decimal(total), Decimal(total), [Decimal(price) for price in prices])]
    assert bob.in_cart() == {2: 1}
