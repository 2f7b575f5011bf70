"""Conversion of Medusa 2 orders to reports of orders and refunds. No I/O.

An order is reported completely each time it is seen. The ids of its lines and refunds are derived from Medusa's, so it
counts once even if the pull and the subscriber report it repeatedly and in any sequence.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from shared.domain.identity import IdKind, kind_of

# Fields requested from the Admin API; docs/connect/example/medusa-subscriber.ts requests the same.
ORDER_FIELDS: Final = (
    "id,status,customer_id,canceled_at,created_at,updated_at,metadata,*items,*items.detail,"
    "payment_collections.captured_amount,payment_collections.refunded_amount"
)
# The key in an order's metadata where the storefront stores the visitor's id. Shoppers can write any text there.
USER_KEY: Final = "aisle_user_id"
# Each returned piece is an event of its own. A line of more pieces than this is refunded once all have been returned.
MAX_SINGLE_PIECES: Final = 100
# Medusa's counts of returned pieces of an item: sellable and damaged.
_RETURNED: Final = ("return_received_quantity", "return_dismissed_quantity")


def variant_id(sku: Any, identifier: Any) -> str | None:
    """Return the external id of a variant: its SKU, or else its Medusa id; None if it has neither."""
    return next((text for value in (sku, identifier) if isinstance(value, str) and (text := value.strip())), None)


def objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the JSON objects in a list; empty for a value that is not a list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def reports_of(order: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the reports for an order: the order itself and its refunds; none for a draft or an empty order.

    The user is the guest named by the storefront, else Medusa's customer, else the order itself.
    """
    order_id, items = order.get("id"), _items(order)
    if not isinstance(order_id, str) or not items or order.get("status") == "draft":
        return []
    shared = {"user_id": _guest(order.get("metadata")) or order.get("customer_id") or order_id, "order_id": order_id}
    lines = [
        {"external_id": _product(item), "quantity": _whole(item.get("quantity"))}
        | ({} if not _is_price(item.get("unit_price")) else {"price": item["unit_price"]})
        for item in items
    ]
    reports = [{**shared, "event_type": "order", "timestamp": order.get("created_at"), "lines": lines}]
    if is_given_back(order):
        at = order.get("canceled_at") or order.get("updated_at")
        whole = {**shared, "event_type": "refund", "event_id": f"medusa/{order_id}/all", "timestamp": at}
        return [*reports, whole]
    return reports + [
        {**shared, "event_type": "refund", "timestamp": order.get("updated_at"), **part} for part in _parts(items)
    ]


def _guest(metadata: Any) -> str | None:
    """Return the guest named in an order's metadata, or None.

    Orders count in full, and the Store API lets a shopper write a cart's metadata. Only guest ids cannot be guessed; if
    other ids were accepted, a shopper could add an order to the history of any user
    (docs/decisions/0060-who-bought-in-medusa.md).
    """
    named = metadata.get(USER_KEY) if isinstance(metadata, Mapping) else None
    return named if isinstance(named, str) and kind_of(named) is IdKind.GUEST else None


def is_given_back(order: Mapping[str, Any]) -> bool:
    """Return whether an order was canceled or fully refunded."""
    if order.get("status") == "canceled" or order.get("canceled_at"):
        return True
    collections = objects(order.get("payment_collections"))
    paid = sum(_number(each.get("captured_amount")) for each in collections)
    returned = sum(_number(each.get("refunded_amount")) for each in collections)
    return 0 < paid <= returned


def _items(order: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    items = [
        item for item in objects(order.get("items")) if _whole(item.get("quantity")) > 0 and _product(item) is not None
    ]
    # An order line is identified by its position, which must not depend on how Medusa happens to sort.
    return sorted(items, key=lambda item: str(item.get("id")))


def _parts(items: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the refunds of returned pieces. Medusa reports cumulative counts, so each piece gets its own event id."""
    for item in items:
        detail = item.get("detail")
        counted = [_whole(detail.get(name)) for name in _RETURNED] if isinstance(detail, Mapping) else []
        bought = _whole(item.get("quantity"))
        returned = min(sum(counted), bought)
        if bought <= MAX_SINGLE_PIECES:
            for piece in range(1, returned + 1):
                line = {"external_id": _product(item), "quantity": 1}
                yield {"event_id": f"medusa/{item.get('id')}/{piece}", "lines": [line]}
        elif returned == bought:
            line = {"external_id": _product(item), "quantity": bought}
            yield {"event_id": f"medusa/{item.get('id')}/all", "lines": [line]}


def _product(item: Mapping[str, Any]) -> str | None:
    return variant_id(item.get("variant_sku"), item.get("variant_id"))


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else 0.0


def _whole(value: Any) -> int:
    number = _number(value)
    return int(number) if 0 <= number < 2**31 else 0


def _is_price(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
