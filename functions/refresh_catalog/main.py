"""Event: after a change of products, refresh everything derived from them."""

from collections.abc import Sequence
from typing import Any

from cloudevents.http.event import CloudEvent
from pydantic import BaseModel, ConfigDict, Field

from shared import messages
from shared.clients.postgres import transaction
from shared.domain.events import ProductId
from shared.storage.answers import invalidation, popular_ranking, protocol
from shared.storage.catalog import catalog_counts, products, search_index
from shared.storage.recommending import content
from shared.subscriptions import apply_or_reject, read_or_reject, subscriber


class CatalogChange(BaseModel):
    """The body of a ``catalog-changes/1`` message. Unknown fields are ignored: a later release may add some."""

    model_config = ConfigDict(strict=True)

    product_ids: list[ProductId] = Field(min_length=1, max_length=10_000)
    change: str = "updated"


def _refresh_text(product_ids: Sequence[int], change: str) -> None:
    # separate transactions: each takes locks that other transactions take in another order
    if change == "created":
        # written with the products, but perhaps in a language that has changed since
        search_index.refresh_batches(search_index.refresh_language, product_ids)
    else:
        search_index.refresh_batches(search_index.refresh_documents, product_ids)
    with transaction() as connection:
        search_index.end_change_of_language(connection)
    with transaction() as connection:
        search_index.refresh_vocabulary(connection, product_ids)
        content.end_wait_for_words(connection, product_ids)


def _refresh_content(product_ids: Sequence[int], change: str) -> None:
    content.refresh_batches(product_ids)
    if change in ("created", "deleted") and content.is_outdated():
        content.announce_recount()


@subscriber
def refresh_catalog(event: CloudEvent) -> None:
    """Refresh search documents, vocabulary, embeddings, the live popular ranking and stored answers. Idempotent."""
    readable = read_or_reject(event, messages.CATALOG_CHANGES_SCHEMA, CatalogChange.model_validate)
    if readable is None:
        return
    message, change = readable
    with transaction() as connection:
        catalog_counts.compact(connection)

    def refresh(product_ids: Sequence[int]) -> None:
        # a change of stock does not change any text
        if change.change not in ("stock", "content"):
            _refresh_text(product_ids, change.change)
        if change.change != "stock":
            _refresh_content(product_ids, change.change)

    def describe(product_id: int) -> tuple[int, Any]:
        content = {"product_ids": [product_id], "change": change.change}
        return change.product_ids.index(product_id), content

    apply_or_reject(message.id, change.product_ids, refresh, describe)
    popular_ranking.refresh_products(products.get_public(change.product_ids))
    # last: an answer computed from here on sees all of the above
    invalidation.flush(*protocol.PRODUCT_SCOPES)
