"""Route of the deliveries of a Medusa shop's subscriber: a product or an order as it is after a change."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.concurrency import run_in_threadpool

from functions.collect.schemas import MedusaDelivery, MedusaResult
from shared.domain import signatures
from shared.domain.events import Text
from shared.domain.feeds import MEDUSA
from shared.domain.medusa import reports_of
from shared.domain.signatures import InvalidSignature
from shared.errors import Conflict, InvalidRequest, Unauthorized
from shared.http.api import problem_responses
from shared.settings import settings

router = APIRouter(prefix="/v1/medusa", tags=["medusa"])
Signature = Annotated[
    Text | None,
    Header(
        alias=signatures.HEADER,
        max_length=200,
        description="`t=<milliseconds since 1970>,v1=<HMAC-SHA256 in hex>` of the time, a full stop and the body, with "
        "a key of WEBHOOK_KEYS. A time that is more than five minutes off is refused.",
    ),
]


@router.post("", responses=problem_responses(401, 409))
async def record_medusa_delivery(
    request: Request, delivery: MedusaDelivery, signature: Signature = None
) -> MedusaResult:
    """Record a product or an order of Medusa as it is now. A delivery that is sent again is refused."""
    keys = settings().signature_keys
    if not keys:
        settings().require("webhook_keys")
    try:
        signed_at = signatures.signed_at(signature or "", await request.body(), keys, datetime.now(UTC))
    except InvalidSignature as error:
        raise Unauthorized(str(error), headers={"WWW-Authenticate": 'HMAC-SHA256 realm="aisle"'}) from None
    return await run_in_threadpool(_take, delivery, signed_at)


def _take(delivery: MedusaDelivery, signed_at: datetime) -> MedusaResult:
    if delivery.type == "product":
        return _take_product(delivery.id, delivery.product, delivery.categories, signed_at)
    return _take_order(delivery.id, delivery.order, signed_at)


def _take_product(
    product_id: str, product: Mapping[str, Any] | None, categories: list[dict[str, Any]], signed_at: datetime
) -> MedusaResult:
    # imported here: a start for events needs none of it
    from shared.clients.postgres import Connection
    from shared.domain.catalog import ProductWrite
    from shared.storage.catalog import bulk_writes, feeds
    from shared.storage.operations import webhook_deliveries
    from shared.tables.medusa import category_paths, products_of

    if product is not None and product.get("id") != product_id:
        raise InvalidRequest("product.id: must be the delivery's id.")
    feed = feeds.pulled(MEDUSA)
    if feed is None:
        raise Conflict(
            "There is no active feed with the preset medusa. Add one with POST /admin/feeds, then send the delivery "
            "again."
        )
    feed_id, cursor = feed
    mark = int((cursor.get("products") or {}).get("mark") or 0)
    read = [] if product is None else products_of(product, category_paths(categories), 1)
    rows = [row[1] for row in read if isinstance(row, tuple)]
    problems = [error for row in read if isinstance(row, list) for error in row]
    kept = [*(row.external_id for row in rows), *(error.external_id for error in problems)]
    hidden: list[int] = []

    def note(connection: Connection, stored: list[ProductWrite], created: list[int]) -> list[int]:
        webhook_deliveries.take(connection, f"medusa/product/{product_id}", signed_at)
        shown = feeds.mark_seen(connection, feed_id, mark, stored, created)
        hidden.extend(feeds.hide_variants(connection, feed_id, [product_id], [*filter(None, kept)]))
        return [*shown, *hidden]

    done = bulk_writes.import_products(rows, note)
    return MedusaResult(
        created=len(done.created),
        updated=len(done.updated),
        hidden=len(hidden),
        reports=0,
        rejected=[f"{error.external_id}: {error.field} {error.message}" for error in problems]
        + [f"{rows[place].external_id}: {field} {message}" for place, field, message in done.refused],
    )


def _take_order(order_id: str, order: Mapping[str, Any] | None, signed_at: datetime) -> MedusaResult:
    from shared import event_outbox
    from shared.clients.postgres import transaction
    from shared.storage.operations import webhook_deliveries

    if order is None or order.get("id") != order_id:
        raise InvalidRequest("order: give the order whose id is the delivery's id.")
    with transaction() as connection:
        webhook_deliveries.take(connection, f"medusa/order/{order_id}", signed_at)
        enqueued = event_outbox.enqueue(connection, reports_of(order))
    event_outbox.publish(enqueued, "medusa")
    return MedusaResult(
        created=0,
        updated=0,
        hidden=0,
        reports=len(enqueued.outbox),
        rejected=[f"{raw.get('event_type')}: {reason}" for raw, reason in enqueued.refused],
    )
