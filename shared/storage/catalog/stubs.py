"""Stubs: placeholders for products that events named before the catalog had them, to be completed by an import.

A stub is inactive, so no response shows it, and its name is its ``external_id``. An import of that id completes it and
keeps its history. The shop's setting ``unknown_products`` determines whether events create stubs.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.clients.postgres import run_prepared
from shared.storage.operations import shop

# Any client can send events, so the number of products that events can add is limited.
MAX_STUBS: Final = 10_000
ADD: Final = f"""
INSERT INTO products (external_id, name, price, quantity, is_active)
SELECT named.id, named.id, 0.00, 0, false
FROM (SELECT DISTINCT id FROM unnest(cast(:external_ids AS text[])) AS given(id)) AS named
WHERE NOT EXISTS (SELECT FROM products p WHERE p.external_id = named.id)
  AND (SELECT count(*) FROM (SELECT FROM products WHERE NOT is_active AND price = 0 AND name = external_id
                             LIMIT {MAX_STUBS}) AS stubs) < {MAX_STUBS}
ORDER BY named.id
ON CONFLICT (external_id) DO NOTHING"""


def add_unknown(events: Iterable[Mapping[str, Any]]) -> None:
    """Add a stub for each unknown ``external_id`` in the events, if the shop's setting ``unknown_products`` says so."""
    named = {event["external_id"] for event in events if event.get("external_id") is not None}
    if named and shop.current().unknown_products == "stub":
        run_prepared(ADD, external_ids=sorted(named))
