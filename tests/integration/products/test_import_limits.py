"""The limit of an import's body holds without a Content-Length too, to the byte."""

from collections.abc import Iterator

import httpx

from functions.products.imports import MAX_IMPORT_BYTES
from tests.integration.products.conftest import catalog_state

JSON_LINES = {"Content-Type": "application/x-ndjson"}


def blanks(size: int) -> Iterator[bytes]:
    """Yield a body without a row: httpx sends an iterator in chunks, without a length."""
    for start in range(0, size, 1_000_000):
        yield b" " * min(1_000_000, size - start)


def test_an_import_without_a_length_is_read_up_to_its_limit(admin: httpx.Client) -> None:
    before = catalog_state()
    refused = admin.post("/products/import", content=blanks(MAX_IMPORT_BYTES + 1), headers=JSON_LINES)
    assert "content-length" not in refused.request.headers
    assert refused.status_code == 413
    assert refused.json()["detail"] == f"The body must be at most {MAX_IMPORT_BYTES} bytes; send it in parts."
    read = admin.post("/products/import", content=blanks(MAX_IMPORT_BYTES), headers=JSON_LINES)
    assert (read.status_code, read.json()["detail"]) == (
        422,
        "The body has no rows; check that its export was not empty.",
    )
    assert catalog_state() == before
