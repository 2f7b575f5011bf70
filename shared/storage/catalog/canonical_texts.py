"""Stored texts of the catalog in their canonical form, for rows written before shared/domain/text.py defined it."""

import logging
from typing import Final, NamedTuple

from shared.clients.postgres import execute, transaction

log = logging.getLogger(__name__)

MAKE_CANONICAL: Final = "SELECT categories_merged, products_changed, ids_left FROM make_catalog_canonical()"


class Changed(NamedTuple):
    """Counts of categories merged into another of the same name, of changed products, and of products whose id stays.

    A product keeps its ``external_id`` if another product already has its canonical form.
    """

    categories_merged: int
    products_changed: int
    ids_left: int


def make_canonical() -> Changed:
    """Convert the texts of all products, categories and rules to their canonical form; idempotent.

    Migration 0012 did so once. The previous release may have written other forms while this one was being rolled out,
    so the job ``retention`` repeats it.
    """
    with transaction(statement_timeout_s=0) as connection:
        changed = Changed(*map(int, execute(connection, MAKE_CANONICAL)[0]))
    if changed.ids_left:
        log.warning("products keep an external_id that another one has in NFC", extra={"products": changed.ids_left})
    return changed
