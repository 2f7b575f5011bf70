"""Event: after products were written, bring up to date what is derived from them."""

import functions_framework
from cloudevents.http.event import CloudEvent
from pydantic import BaseModel, ConfigDict, Field

from shared import logs, messages
from shared.clients.postgres import transaction
from shared.domain.events import ProductId
from shared.storage.answers import cache
from shared.storage.catalog import products, search
from shared.storage.recommending import similar_products
from shared.subscriptions import read_or_reject


class CatalogChange(BaseModel):
    """The body of a ``catalog-changes/1`` message. Unknown fields are ignored: a later release may send them."""

    model_config = ConfigDict(strict=True)

    product_ids: list[ProductId] = Field(min_length=1, max_length=10_000)
    change: str = "updated"


def _refresh_text(product_ids: list[int]) -> None:
    # one after the other: each takes locks that others take in another order
    with transaction() as connection:
        search.refresh_documents(connection, product_ids)
    with transaction() as connection:
        search.refresh_words(connection, product_ids)
    with transaction() as connection:
        similar_products.refresh(connection, product_ids)


@functions_framework.cloud_event
def refresh_catalog(event: CloudEvent) -> None:
    """Refresh search documents, vocabulary, content, the live popular ranking and stored answers. Idempotent."""
    logs.configure()
    readable = read_or_reject(event, messages.CATALOG_CHANGES_SCHEMA, CatalogChange.model_validate)
    if readable is None:
        return
    _message, change = readable
    # sold out, or in stock again: no word of it has changed
    if change.change != "stock":
        _refresh_text(change.product_ids)
    cache.show_popular(products.shown(change.product_ids))
    # last: an answer computed from here on sees all of the above
    cache.flush(*cache.PRODUCT_SCOPES)
