"""A change of one product by its fields leaves what the way of many rows leaves, and writes less."""

import json
import threading
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from shared.clients.postgres import execute, read, transaction, write
from shared.domain.catalog import ProductPatch, ProductWrite
from shared.errors import InvalidRequest, ProductNotFound
from shared.storage.catalog import bulk_writes, field_changes, product_writes
from shared.storage.catalog.product_writes import Author

FULL: dict[str, Any] = {
    "name": "Brass lantern",
    "description": "Made by hand",
    "price": Decimal("12.50"),
    "list_price": Decimal(15),
    "currency": "EUR",
    "image_url": "https://shop.example/a.jpg",
    "category": "Home > Lamps",
    "further_categories": ["Garden"],
    "brand": "Lumen",
    "tags": ["brass", 'in "quotes"', "null"],
    "quantity": 3,
    "item_group_id": "g1",
    "variant_title": "S / Black",
    "average_rating": Decimal("4.25"),
    "review_count": 7,
    "available_from": "2026-01-31T12:00:00Z",
    "latitude": 52.52000659999999,
    "longitude": 13.404954,
}
AUTHOR = Author("ann", "request-1")
# words that differ in their last letter, since a document has the words of the id
DIRECT, OF_ROWS, BYSTANDER = "wida", "widb", "widc"


@pytest.fixture
def ids(env: dict[str, str]) -> dict[str, int]:
    """Three products that differ by their ids alone."""
    with transaction() as connection:
        rows = [ProductWrite.model_validate({"external_id": name, **FULL}) for name in (DIRECT, OF_ROWS, BYSTANDER)]
        done = bulk_writes.upsert(connection, rows)
    return {external_id: product_id for _position, product_id, external_id in done.products}


def change(product_id: int, patch: ProductPatch) -> product_writes.Written:
    with transaction() as connection:
        return product_writes.change(connection, product_id, patch, AUTHOR)


def row_of(product_id: int) -> dict[str, Any]:
    """Return a stored product without its ids and times."""
    (row,) = read("SELECT to_jsonb(p)::text, p.document::text FROM products p WHERE id = :id", id=product_id)
    known: dict[str, Any] = json.loads(row[0])
    return {
        name: known[name] for name in known.keys() - {"id", "external_id", "created_at", "updated_at", "document"}
    } | {"words": str(row[1]).replace(OF_ROWS, DIRECT)}


def audited(product_id: int) -> list[Any]:
    ignored = "ARRAY['id', 'external_id', 'updated_at', 'created_at']"
    rows = read(
        f"""SELECT actor, action, request_id, before - {ignored}, after - {ignored} FROM audit_log
            WHERE subject = 'product:' || :id ORDER BY id""",
        id=product_id,
    )
    return [tuple(row) for row in rows]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"price": Decimal("12.5")},
        {"price": Decimal("9.99")},
        {"price": 7},
        {"price": Decimal("9.90"), "list_price": None},
        {"currency": "KWD", "price": Decimal("1.125")},
        {"currency": None},
        {"quantity": 0},
        {"quantity": 3, "stock_counted": False},
        {"stock_counted": False},
        {"name": "Kupferlaterne\t\\N", "brand": None, "tags": ["null", "a,b", "{}", 'x"y\\'], "description": "Ü\n"},
        {"tags": []},
        {"image_url": None, "item_group_id": None, "variant_title": None, "review_count": None},
        {"average_rating": Decimal("3.999")},
        {"available_from": datetime(2027, 2, 28, 23, 59, 59, 123456, UTC)},
        {"latitude": 0.1, "longitude": -0.30000000000000004},
        {"latitude": None, "longitude": None},
        {"is_active": False},
        FULL | {"name": "New", "category": None} | {"further_categories": []},
    ],
    ids=lambda fields: "-".join(fields)[:40] or "nothing",
)
def test_both_ways_leave_the_same(ids: dict[str, int], fields: dict[str, Any]) -> None:
    fields = {name: value for name, value in fields.items() if name not in field_changes.OF_CATEGORIES}
    patch, bystander = ProductPatch.model_validate(fields), row_of(ids[BYSTANDER])
    direct = change(ids[DIRECT], patch)
    with transaction() as connection:
        row = ProductWrite.model_construct(
            {"external_id", *patch.model_fields_set},
            **{name: getattr(patch, name) for name in ProductPatch.model_fields},
            external_id=OF_ROWS,
        )
        of_rows = product_writes.save(connection, [row], AUTHOR)
    assert row_of(ids[DIRECT]) == row_of(ids[OF_ROWS])
    assert audited(ids[DIRECT]) == audited(ids[OF_ROWS])
    assert (len(direct.updated), len(direct.outbox)) == (len(of_rows.updated), len(of_rows.outbox))
    assert direct.created == direct.refused == []
    is_change = bool(fields) and fields != {"price": Decimal("12.5")}
    assert (direct.updated == [ids[DIRECT]]) == is_change
    assert row_of(ids[BYSTANDER]) == bystander
    assert audited(ids[BYSTANDER]) == []


def test_the_trigger_of_the_search_document_runs_for_its_own_fields_alone(ids: dict[str, int]) -> None:
    write("CREATE TABLE written (at timestamptz)")
    write(
        "CREATE FUNCTION note_document() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO written VALUES (now()); RETURN NEW; END $$"
    )
    write(
        "CREATE TRIGGER note_document BEFORE UPDATE OF name, description, brand, tags, document ON products "
        "FOR EACH ROW EXECUTE FUNCTION note_document()"
    )
    change(ids[DIRECT], ProductPatch(price=Decimal(3), quantity=9))
    assert read("SELECT count(*) FROM written")[0][0] == 0
    change(ids[DIRECT], ProductPatch(name="Other"))
    assert read("SELECT count(*) FROM written")[0][0] == 1
    assert read("SELECT count(*) FROM products WHERE document @@ to_tsquery('simple', 'other')")[0][0] == 1


def test_a_change_of_a_category_goes_the_way_of_rows(ids: dict[str, int]) -> None:
    for fields in ({"category": "Garden > Lights"}, {"further_categories": []}, {"category_id": None, "price": 3}):
        patch = ProductPatch.model_validate(fields)
        assert not field_changes.can_change(patch)
        assert change(ids[DIRECT], patch).updated == [ids[DIRECT]]
    assert (row_of(ids[DIRECT])["category_id"], row_of(ids[DIRECT])["further_category_ids"]) == (None, [])
    assert row_of(ids[BYSTANDER])["further_category_ids"] != []


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"price": Decimal("9.999")}, "price", "must have at most 2 decimals, as its currency EUR has"),
        ({"list_price": Decimal("9.999")}, "list_price", "must have at most 2 decimals, as its currency EUR has"),
        # of the prices that are stored already
        ({"currency": "JPY"}, "price", "must have at most 0 decimals, as its currency JPY has"),
        ({"currency": None, "price": Decimal("1.001")}, "price", "must have at most 2 decimals; set the currency"),
    ],
)
def test_a_price_of_too_many_decimals_changes_nothing(
    ids: dict[str, int], fields: dict[str, Any], field: str, message: str
) -> None:
    before = row_of(ids[DIRECT])
    with pytest.raises(InvalidRequest) as refused:
        change(ids[DIRECT], ProductPatch.model_validate(fields | {"name": "Never"}))
    assert message in refused.value.detail
    assert refused.value.errors[0]["field"] == field
    assert row_of(ids[DIRECT]) == before
    assert audited(ids[DIRECT]) == []


@pytest.mark.parametrize(
    ("currency_of_shop", "price", "is_valid"),
    [
        ("JPY", 8, True),
        ("JPY", Decimal("8.1"), False),
        ("KWD", Decimal("8.125"), True),
        (None, Decimal("8.125"), False),
    ],
)
def test_a_product_without_a_currency_has_the_decimals_of_the_shop_s(
    ids: dict[str, int], currency_of_shop: str | None, price: Decimal, is_valid: bool
) -> None:
    change(ids[DIRECT], ProductPatch(currency=None, price=Decimal(1), list_price=None))
    write("UPDATE shop SET currency = :currency", currency=currency_of_shop)
    patch = ProductPatch.model_validate({"price": price})
    if is_valid:
        assert change(ids[DIRECT], patch).updated == [ids[DIRECT]]
    else:
        with pytest.raises(InvalidRequest):
            change(ids[DIRECT], patch)
    assert row_of(ids[DIRECT])["price"] == (float(price) if is_valid else 1)
    # a product with a currency of its own has its decimals
    assert change(ids[BYSTANDER], ProductPatch(price=Decimal("8.25"))).updated == [ids[BYSTANDER]]


def test_the_time_of_the_last_change_moves_with_a_change_alone(ids: dict[str, int]) -> None:
    def times() -> dict[int, datetime]:
        return {row[0]: row[1] for row in read("SELECT id, updated_at FROM products")}

    before = times()
    change(ids[DIRECT], ProductPatch(price=Decimal("12.5"), quantity=3))
    assert times() == before
    change(ids[DIRECT], ProductPatch(quantity=4))
    after = times()
    assert after[ids[DIRECT]] > before[ids[DIRECT]]
    assert {name: after[ids[name]] for name in (OF_ROWS, BYSTANDER)} == {
        name: before[ids[name]] for name in (OF_ROWS, BYSTANDER)
    }


def test_an_unknown_product_is_not_found(ids: dict[str, int]) -> None:
    with pytest.raises(ProductNotFound):
        change(max(ids.values()) + 1, ProductPatch(price=Decimal(1)))


def test_two_changes_at_once_both_take_effect(ids: dict[str, int]) -> None:
    """The second waits for the first, and writes its own field alone."""
    product_id = ids[DIRECT]
    with transaction() as connection:
        field_changes.change(connection, product_id, ProductPatch(price=Decimal(3)), "ann", "1")
        second = threading.Thread(target=change, args=(product_id, ProductPatch(quantity=0)))
        second.start()
        second.join(0.2)
        assert second.is_alive()
        assert execute(connection, "SELECT quantity FROM products WHERE id = :id", {"id": product_id})[0][0] == 3
    second.join(30)
    row = row_of(product_id)
    assert (row["price"], row["quantity"]) == (3.0, 0)
    assert audited(product_id)[1][3]["price"] == 3.0
