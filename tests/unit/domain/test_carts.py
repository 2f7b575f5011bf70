"""Totals of carts, and lines that cannot be bought."""

from decimal import Decimal

import pytest

from shared.domain.carts import MAX_LINES, MAX_QUANTITY, MAX_TOTAL, MAX_WISHLIST, CartLine, check_stock, total
from shared.errors import OutOfStock

LAMP = CartLine(1, "L", "Lamp", Decimal("0.10"), 5, True, 3)


def test_totals_are_exact() -> None:
    assert total([LAMP, LAMP._replace(price=Decimal("0.20"))]) == Decimal("0.90")
    assert total([]) == 0


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (LAMP, None),
        (LAMP._replace(quantity=5), None),
        (LAMP._replace(quantity=6), "insufficient_stock"),
        (LAMP._replace(stock=0), "out_of_stock"),
        (LAMP._replace(is_active=False), "unavailable"),
        # what is not counted is sold out by its stock of 0 alone
        (LAMP._replace(stock=1, quantity=2, stock_counted=False), None),
        (LAMP._replace(stock=0, stock_counted=False), "out_of_stock"),
        (LAMP._replace(stock=1, quantity=1), None),
    ],
)
def test_a_line_says_why_it_cannot_be_bought(line: CartLine, reason: str | None) -> None:
    assert line.shortness == reason


def test_each_short_line_is_named_and_no_other() -> None:
    short = [LAMP._replace(product_id=number, stock=0) for number in range(2, 10)]
    with pytest.raises(OutOfStock) as refused:
        check_stock([LAMP, *short])
    assert [line["product_id"] for line in refused.value.problem()["lines"]] == list(range(2, 10))
    assert "and 3 more" in refused.value.detail


def test_the_limits_are_those_that_storefronts_were_built_for() -> None:
    assert (MAX_LINES, MAX_QUANTITY, MAX_WISHLIST, MAX_TOTAL) == (200, 999, 1000, 1_000_000_000_000)
