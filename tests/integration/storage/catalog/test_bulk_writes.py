"""Writing many products at once."""

from decimal import Decimal
from typing import Any

import orjson

from shared.clients import postgres
from shared.domain.catalog import ProductWrite
from shared.storage.catalog import bulk_writes
from tests.integration.concurrency import run_concurrently

TREE = "SELECT c.name, p.name FROM categories c LEFT JOIN categories p ON p.id = c.parent_id ORDER BY 1"


def row(external_id: str | None = "a", **more: Any) -> ProductWrite:
    identity = {} if external_id is None else {"external_id": external_id}
    return ProductWrite.model_validate({**identity, "name": "Lantern", "price": 12.5, **more})


def upsert(*rows: ProductWrite) -> bulk_writes.Upserted:
    with postgres.transaction() as connection:
        return bulk_writes.upsert(connection, rows)


def product(external_id: str) -> dict[str, Any]:
    row = postgres.read_one(
        """SELECT p.*, c.name AS category FROM products p LEFT JOIN categories c ON c.id = p.category_id
           WHERE external_id = :id""",
        id=external_id,
    )
    assert row is not None
    return dict(row._mapping)


def test_a_new_row_is_a_product_as_it_was_written(env: object) -> None:
    result = upsert(
        row(
            "a\\1",
            name='A\t"tab", a\nline and a \\ slash',
            tags=["x,y", 'q"q', "b\\s", "{}"],
            price=0.01,
            brand="Bränd",
            category="Home > Candles",
            image_url="https://x.test/1.png",
            quantity=3,
            is_active=False,
            latitude=1.5,
            longitude=-2.5,
            description="warm",
        )
    )
    assert len(result.created) == 1
    stored = product("a\\1")
    assert stored["id"] == result.created[0]
    assert stored["name"] == 'A\t"tab", a\nline and a \\ slash'
    assert stored["tags"] == ["x,y", 'q"q', "b\\s", "{}"]
    assert (stored["price"], stored["brand"], stored["category"]) == (Decimal("0.01"), "Bränd", "Candles")
    assert (stored["quantity"], stored["is_active"], stored["latitude"], stored["longitude"]) == (3, False, 1.5, -2.5)
    tree = postgres.read(TREE)
    assert [tuple(row) for row in tree] == [("Candles", "Home"), ("Home", None)]


def test_fields_missing_from_a_row_keep_their_stored_values(env: object) -> None:
    upsert(row(brand="B", tags=["t"], quantity=5, category="Candles", latitude=1, longitude=2))
    changed = upsert(row(price=13))
    stored = product("a")
    assert (changed.created, changed.updated) == ([], [stored["id"]])
    assert (stored["price"], stored["brand"], stored["tags"], stored["quantity"]) == (Decimal("13.00"), "B", ["t"], 5)
    assert stored["category"] == "Candles"
    upsert(row(brand=None, tags=None, category=None, quantity=0))
    stored = product("a")
    assert (stored["brand"], stored["tags"], stored["category"], stored["quantity"]) == (None, [], None, 0)


def test_a_row_without_new_values_is_no_change(env: object) -> None:
    upsert(row(tags=["t"], category="A > B"))
    before = product("a")
    result = upsert(row(tags=["t"], category="A > B"))
    assert (result.created, result.updated, result.refused) == ([], [], [])
    assert product("a") == before


def test_the_last_of_several_rows_with_one_id_counts(env: object) -> None:
    result = upsert(row(price=1), row("b"), row(price=2))
    assert len(result.created) == 2
    assert product("a")["price"] == 2


def test_rows_without_an_id_are_new_products_with_ids_of_their_own(env: object) -> None:
    result = upsert(row(None), row(None))
    assert len(set(result.created)) == 2
    assert len({stored_row[0] for stored_row in postgres.read("SELECT external_id FROM products")}) == 2


def test_an_unknown_category_id_refuses_its_row_only(env: object) -> None:
    category_id = postgres.write("INSERT INTO categories (name) VALUES ('Known') RETURNING id")[0][0]
    result = upsert(row("a", category_id=category_id), row("b", category_id=category_id + 1))
    assert len(result.created) == 1
    assert result.refused == [(1, "category_id", f"there is no category {category_id + 1}")]
    assert product("a")["category"] == "Known"


def test_categories_of_one_name_in_different_places_are_different(env: object) -> None:
    upsert(
        row("a", category="Home > Candles"), row("b", category="Gifts > Candles"), row("c", category="Candles > Home")
    )
    tree = [tuple(row) for row in postgres.read("SELECT path, leaf FROM categories ORDER BY path")]
    assert tree == [
        ("Candles", "Candles"),
        ("Candles > Home", "Home"),
        ("Gifts", "Gifts"),
        ("Gifts > Candles", "Candles"),
        ("Home", "Home"),
        ("Home > Candles", "Candles"),
    ]


def test_an_import_publishes_every_changed_product_in_messages_of_a_thousand(env: object, messages: Any) -> None:
    take = messages("catalog-changes")
    result = bulk_writes.import_products([row(f"p{number}") for number in range(2500)])
    assert len(result.created) == 2500
    announced = take(3)
    bodies = [orjson.loads(message.data) for message in announced]
    assert sorted(len(body["product_ids"]) for body in bodies) == [500, 1000, 1000]
    assert sorted(id_ for body in bodies for id_ in body["product_ids"]) == sorted(result.created)
    assert {body["change"] for body in bodies} == {"created"}
    bulk_writes.import_products([row(f"p{number}") for number in range(2500)])
    assert postgres.read("SELECT count(*) FROM outbox")[0][0] == 3
    assert postgres.read("SELECT count(*) FROM outbox WHERE published_at IS NULL")[0][0] == 0


def test_two_imports_of_the_same_products_at_once_both_succeed(env: object) -> None:
    def work(order: int) -> bulk_writes.Upserted:
        rows = [row(f"p{number}", price=order, category=f"C{number % 7}") for number in range(300)]
        return bulk_writes.import_products(rows[::order])

    outcomes = run_concurrently(work, (1, 2))
    assert postgres.read("SELECT count(*) FROM products")[0][0] == 300
    assert sum(len(outcome.created) for outcome in outcomes) == 300


def test_a_quantity_counts_the_stock_again_unless_the_row_says_otherwise(env: dict[str, str]) -> None:
    def write(external_id: str, **fields: Any) -> None:
        bulk_writes.import_products([ProductWrite(external_id=external_id, name="n", price=Decimal(1), **fields)])

    for external_id in ("counted", "uncounted", "bystander"):
        write(external_id, quantity=1, stock_counted=False)
    write("counted", quantity=3)
    write("uncounted", quantity=3, stock_counted=False)
    write("bystander", brand="b")
    rows = postgres.read("SELECT external_id, quantity, stock_counted FROM products ORDER BY id")
    assert [tuple(row) for row in rows] == [("counted", 3, True), ("uncounted", 3, False), ("bystander", 1, False)]
