"""The total that a storefront adds up itself, in floating-point numbers, and in currencies with other decimals."""

import pytest

from shared.clients import postgres
from tests.integration.cart.conftest import Shopper

# product n costs n; its price is changed here
PRICES = {1: 0.1, 2: 0.2, 3: 19.99}
SUM = 0.1 + 0.2 + 3 * 19.99


def fill(shopper: Shopper) -> None:
    for product_id, price in PRICES.items():
        postgres.write("UPDATE products SET price = :price WHERE id = :id", price=price, id=product_id)
        assert shopper.add(product_id, 3 if product_id == 3 else 1).status_code == 201


@pytest.mark.parametrize("total", [SUM, 60.27, 60.274, 60.265])
def test_a_total_of_floats_is_compared_to_the_cent(ann: Shopper, total: float) -> None:
    assert SUM != 60.27
    fill(ann)
    assert ann.check_out(expected_total=total).status_code == 201


@pytest.mark.parametrize("total", [60.26, 60.275, 60.28, 0])
def test_a_total_that_differs_by_a_cent_is_another_one(ann: Shopper, total: float) -> None:
    fill(ann)
    answer = ann.check_out(expected_total=total)
    assert (answer.status_code, answer.json()["total"]) == (409, 60.27)
    assert ann.in_cart() == {1: 1, 2: 1, 3: 3}


@pytest.mark.parametrize(("total", "status"), [(60, 201), (60.4, 201), (60.5, 409), (59, 409)])
def test_a_currency_without_decimals_is_compared_in_whole_units(ann: Shopper, total: float, status: int) -> None:
    postgres.write("UPDATE shop SET currency = 'JPY'")
    fill(ann)
    assert ann.check_out(expected_total=total).status_code == status


@pytest.mark.parametrize(("total", "status"), [(60.27, 201), (60.2704, 201), (60.271, 409), (60.269, 409)])
def test_a_currency_with_three_decimals_is_compared_in_its_thousandths(ann: Shopper, total: float, status: int) -> None:
    postgres.write("UPDATE shop SET currency = 'KWD'")
    fill(ann)
    assert ann.check_out(expected_total=total).status_code == status


@pytest.mark.parametrize("total", ["NaN", "Infinity", -0.01, 10**13])
def test_a_total_that_none_can_be_is_refused(ann: Shopper, total: object) -> None:
    fill(ann)
    assert ann.check_out(expected_total=total).status_code == 422
