"""Products that events named before the catalog had them: hidden, and of a bounded number."""

from typing import Any

import pytest

from shared.clients.postgres import read, write
from shared.storage.catalog import stubs
from shared.storage.operations import shop
from tests.integration.shop import add_products


@pytest.fixture(autouse=True)
def _shop(env: dict[str, str]) -> None:
    add_products(2)


def want(unknown_products: str) -> None:
    write("UPDATE shop SET unknown_products = :setting", setting=unknown_products)
    shop.forget()


def name(*external_ids: str | None) -> None:
    stubs.add_unknown([{"external_id": external_id} for external_id in external_ids])


def added() -> list[tuple[Any, ...]]:
    rows = read("SELECT external_id, name, is_active, quantity, price FROM products WHERE id > 2 ORDER BY 1")
    return [tuple(row) for row in rows]


def test_a_shop_that_wants_none_gets_none() -> None:
    name("NEW")
    assert added() == []
    want("stub")
    # a known product, the same twice, and an event by our own id
    name("SKU1", "NEW", "NEW", None)
    assert added() == [("NEW", "NEW", False, 0, 0)]
    assert read("SELECT count(*) FROM products WHERE is_active")[0][0] == 2


def test_no_more_are_added_once_so_many_wait_for_the_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stubs, "ADD", stubs.ADD.replace(str(stubs.MAX_STUBS), "3"))
    want("stub")
    for number in range(5):
        name(f"NEW-{number}")
    assert [row[0] for row in added()] == ["NEW-0", "NEW-1", "NEW-2"]
    # one that the catalog has completed, or that is merely hidden, leaves a place
    write("UPDATE products SET name = 'Lamp', price = 9 WHERE external_id = 'NEW-0'")
    write("UPDATE products SET is_active = false WHERE id = 1")
    name("NEW-3")
    name("NEW-4")
    assert [row[0] for row in added()] == ["NEW-0", "NEW-1", "NEW-2", "NEW-3"]
