"""The life of an order, without any storage."""

from itertools import product
from uuid import UUID

import pytest

from shared.domain.orders import TRANSITIONS, OrderState, check_transition, checkout_id, purchase_event_id
from shared.errors import OrderStateConflict

ALLOWED = {
    ("placed", "paid"),
    ("placed", "cancelled"),
    ("paid", "shipped"),
    ("paid", "cancelled"),
    ("shipped", "refunded"),
}


@pytest.mark.parametrize(("before", "after"), list(product(OrderState, OrderState)))
def test_only_allowed_transitions_are_accepted(before: OrderState, after: OrderState) -> None:
    if (before, after) in ALLOWED:
        check_transition(before, after)
    else:
        with pytest.raises(OrderStateConflict) as refused:
            check_transition(before, after)
        assert refused.value.problem()["state"] == before


def test_every_state_can_be_reached_and_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(OrderState)
    assert {after for several in TRANSITIONS.values() for after in several} == set(OrderState) - {OrderState.PLACED}


def test_ids_are_derived_and_must_never_change() -> None:
    order = UUID("0193a1b2-0000-7000-8000-000000000001")
    assert str(purchase_event_id(order, 42)) == "fc460bfd-81f1-5f02-b59d-b2dbe919a2d9"
    assert str(checkout_id("ann", "key-1")) == "02546b43-eed1-5da8-ace0-e7f62f1b1104"
    assert purchase_event_id(order, 4) != purchase_event_id(order, 42)
    assert checkout_id("ann", "b") != checkout_id("an", "nb")


@pytest.mark.parametrize(
    ("before", "after", "detail"),
    [
        ("shipped", "cancelled", "The order is shipped and cannot be cancelled; it can only be refunded."),
        ("paid", "refunded", "The order is paid and cannot be refunded; it can only be cancelled or shipped."),
        ("cancelled", "shipped", "The order is cancelled and cannot be shipped; its state is final."),
    ],
)
def test_a_refused_change_of_state_names_the_possible_ones(before: str, after: str, detail: str) -> None:
    with pytest.raises(OrderStateConflict) as refused:
        check_transition(OrderState(before), OrderState(after))
    assert refused.value.detail == detail
    check_transition(OrderState.SHIPPED, OrderState.REFUNDED)
