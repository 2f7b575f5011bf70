"""Orders of Medusa as reports."""

from typing import Any

import pytest

from shared.domain.medusa import MAX_SINGLE_PIECES, reports_of, variant_id
from shared.domain.order_events import REPORT

GUEST = "guest_0123456789abcdef0123456789abcdef"
AT, LATER = "2026-03-01T12:00:00.000Z", "2026-03-02T12:00:00.000Z"


def item(number: int, quantity: Any = 2, **fields: Any) -> dict[str, Any]:
    known = {"id": f"ordli_{number}", "variant_id": f"variant_{number}", "variant_sku": f"SKU{number}"}
    return known | {"quantity": quantity, "unit_price": 9.5} | fields


def order(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    known = {"id": "order_1", "status": "pending", "customer_id": "cus_1", "created_at": AT, "updated_at": LATER}
    return known | {"items": list(items), "metadata": {"aisle_user_id": GUEST}} | fields


def paid(captured: float, refunded: float) -> list[dict[str, Any]]:
    return [{"captured_amount": captured, "refunded_amount": refunded}]


def refunds(of: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return event ids and lines of an order's refunds, all of whose reports are valid."""
    reports = reports_of(of)
    for report in reports:
        REPORT.validate_python(report)
    assert [report["event_type"] for report in reports] == ["order", *["refund"] * (len(reports) - 1)]
    return [(report["event_id"], report.get("lines")) for report in reports[1:]]


def test_an_order_is_reported_with_its_lines_in_the_order_of_their_ids() -> None:
    (report,) = reports_of(order(item(2, variant_sku=None), item(1, unit_price=None), item(3, 0)))
    assert report == {
        "user_id": GUEST,
        "order_id": "order_1",
        "event_type": "order",
        "timestamp": AT,
        "lines": [
            {"external_id": "SKU1", "quantity": 2},
            {"external_id": "variant_2", "quantity": 2, "price": 9.5},
        ],
    }
    REPORT.validate_python(report)


@pytest.mark.parametrize(
    ("fields", "user_id"),
    [({"metadata": None}, "cus_1"), ({"metadata": {}, "customer_id": None}, "order_1"), ({}, GUEST)],
)
def test_the_user_is_the_guest_or_the_customer_or_the_order(fields: dict[str, Any], user_id: str) -> None:
    assert reports_of(order(item(1), **fields))[0]["user_id"] == user_id


@pytest.mark.parametrize(
    "named",
    [
        # an account, another customer, an id of the shop's own, and what is almost a guest's id
        *("acct_0123456789abcdef0123456789abcdef", "cus_2", "visitor", "guest_42", GUEST[:-1], GUEST + "0"),
        *(GUEST.upper(), f" {GUEST}", f"{GUEST}\n", "", None, 5, [GUEST], {"id": GUEST}),
    ],
)
def test_a_shopper_cannot_give_an_order_to_another_user(named: Any) -> None:
    """The Store API lets a shopper write a cart's metadata, which the order keeps."""
    metadata = {"aisle_user_id": named, "gift": True}
    given_back = reports_of(order(item(1), metadata=metadata, status="canceled"))
    assert [(report["event_type"], report["user_id"]) for report in given_back] == [
        ("order", "cus_1"),
        ("refund", "cus_1"),
    ]
    assert reports_of(order(item(1), metadata=metadata, customer_id=None))[0]["user_id"] == "order_1"


def test_a_draft_and_an_order_of_nothing_report_nothing() -> None:
    assert reports_of(order(item(1), status="draft")) == []
    assert reports_of(order()) == []
    assert reports_of(order(item(1, variant_sku=None, variant_id=None))) == []


def test_a_canceled_order_and_one_that_is_paid_back_are_given_back_whole() -> None:
    whole = [("medusa/order_1/all", None)]
    assert refunds(order(item(1), status="canceled")) == whole
    assert refunds(order(item(1), payment_collections=paid(20, 20))) == whole
    assert refunds(order(item(1), payment_collections=paid(20, 19.99))) == []
    assert refunds(order(item(1), payment_collections=paid(0, 0))) == []


def test_each_piece_that_comes_back_is_a_refund_of_its_own() -> None:
    one = refunds(order(item(1, 3, detail={"return_received_quantity": 1}), item(2)))
    assert one == [("medusa/ordli_1/1", [{"external_id": "SKU1", "quantity": 1}])]
    counted = {"return_received_quantity": 1, "return_dismissed_quantity": 1}
    two = refunds(order(item(1, 3, detail=counted), item(2)))
    assert two == [*one, ("medusa/ordli_1/2", [{"external_id": "SKU1", "quantity": 1}])]
    # never more than was bought
    assert len(refunds(order(item(1, 3, detail={"return_received_quantity": 9})))) == 3


def test_a_line_of_many_pieces_is_given_back_when_all_have_come_back() -> None:
    many = MAX_SINGLE_PIECES + 1
    assert len(refunds(order(item(1, MAX_SINGLE_PIECES, detail={"return_received_quantity": 99})))) == 99
    assert refunds(order(item(1, many, detail={"return_received_quantity": many - 1}))) == []
    assert refunds(order(item(1, many, detail={"return_received_quantity": many}))) == [
        ("medusa/ordli_1/all", [{"external_id": "SKU1", "quantity": many}])
    ]


def test_a_variant_is_known_by_its_sku_or_else_its_id() -> None:
    assert variant_id(" A-1 ", "variant_1") == "A-1"
    assert [variant_id(sku, "variant_1") for sku in (None, "", "  ")] == ["variant_1"] * 3
    assert variant_id(None, None) is None
