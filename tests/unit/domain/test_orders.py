"""The life of an order, without any storage."""

from decimal import Decimal
from itertools import product
from uuid import UUID

import pytest

from shared.domain.carts import CartLine, check_stock, total
from shared.domain.orders import TRANSITIONS, OrderState, check_transition, checkout_id, purchase_event_id
from shared.errors import OrderStateConflict, OutOfStock

ALLOWED = {
    ("placed", "paid"),
    ("placed", "cancelled"),
    ("paid", "shipped"),
    ("paid", "cancelled"),
    ("shipped", "refunded"),
}
LAMP = CartLine(1, "L", "Lamp", Decimal("0.10"), 5, True, 3)


@pytest.mark.parametrize(("before", "after"), list(product(OrderState, OrderState)))
def test_only_what_is_allowed_may_follow(before: OrderState, after: OrderState) -> None:
    if (before, after) in ALLOWED:
        check_transition(before, after)
    else:
        with pytest.raises(OrderStateConflict) as refused:
            check_transition(before, after)
        assert refused.value.problem()["state"] == before


def test_every_state_can_be_reached_and_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    assert {after for several in TRANSITIONS.values() for after in several} == set(OrderState) - {OrderState.PLACED}


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


def test_ids_are_derived_and_must_never_change() -> None:
    order = UUID("0193a1b2-0000-7000-8000-000000000001")
    assert str(purchase_event_id(order, 42)) == "fc460bfd-81f1-5f02-b59d-b2dbe919a2d9"
    assert str(checkout_id("ann", "key-1")) == "02546b43-eed1-5da8-ace0-e7f62f1b1104"
    assert purchase_event_id(order, 4) != purchase_event_id(order, 42)
    assert checkout_id("ann", "b") != checkout_id("an", "nb")
