"""The mapping of a file's columns to fields."""

import pytest

from shared.errors import InvalidRequest
from shared.tables.columns import (
    EVENT_COLUMNS,
    PRODUCT_COLUMNS,
    STANDALONE_EVENT_COLUMNS,
    Columns,
    Schema,
    parse_columns,
)


def read(schema: Schema, *names: str, mapping: str | None = None) -> dict[str, str]:
    resolved = Columns(schema, parse_columns(mapping, schema)).resolve(names)
    return {field: names[place] for field, place in resolved.positions.items()}


@pytest.mark.parametrize(
    ("names", "user", "item", "kind", "time"),
    [
        (("User_ID", "Item ID", "EVENT-TYPE", "TimeStamp"), 0, 1, 2, 3),
        (("timestamp", "visitorid", "event", "itemid", "transactionid"), 1, 3, 2, 0),
        (("customer_id", "sku", "type", "event_time"), 0, 1, 2, 3),
        (("reviewerID", "asin", "action", "unixReviewTime"), 0, 1, 2, 3),
        # the better name wins; the other is not read
        (("user_id", "customer_id", "item_id", "sku", "event_type", "type", "timestamp", "date"), 0, 2, 4, 6),
    ],
)
def test_usual_names_of_columns_are_known_in_any_case(
    names: tuple[str, ...], user: int, item: int, kind: int, time: int
) -> None:
    for schema in (EVENT_COLUMNS, STANDALONE_EVENT_COLUMNS):
        columns = read(schema, *names)
        assert columns["user_id"] == names[user]
        assert columns["external_id"] == names[item]
        assert columns["event_type"] == names[kind]
        assert columns["timestamp"] == names[time]


def test_product_id_is_aisles_number_in_a_shop_and_any_id_in_a_file_alone() -> None:
    assert read(EVENT_COLUMNS, "productId") == {"product_id": "productId"}
    assert read(STANDALONE_EVENT_COLUMNS, "productId") == {"external_id": "productId"}


def test_two_columns_of_equal_right_are_refused_with_the_remedy() -> None:
    with pytest.raises(InvalidRequest, match=r"external_id twice \(sku, asin\); choose one with columns=external_id:"):
        read(PRODUCT_COLUMNS, "sku", "asin", "name")
    assert read(PRODUCT_COLUMNS, "sku", "asin", mapping="external_id:asin") == {"external_id": "asin"}


def test_columns_without_a_name_are_no_columns() -> None:
    columns = Columns(PRODUCT_COLUMNS)
    for unnamed in ("", "  ", "Unnamed: 0", "__index_level_0__"):
        resolved = columns.resolve([unnamed, "name"])
        assert (resolved.positions, resolved.unknown, resolved.unused) == ({"name": 1}, [], [])


def test_a_mapping_names_columns_by_their_whole_name() -> None:
    names = ("Handle", "Title", "Body (HTML)", "Variant Price", "Price, net", "name")
    mapping = "external_id:Handle, name:Title,price:Price, net"
    assert read(PRODUCT_COLUMNS, *names, mapping=mapping) == {
        "external_id": "Handle",
        "name": "Title",
        "price": "Price, net",
    }
    assert read(PRODUCT_COLUMNS, "handle", mapping="external_id:Handle") == {"external_id": "handle"}


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ("nmae:Title", "no field 'nmae'"),
        ("external_id:Handle,nmae:Title", "no field 'nmae'"),
        ("name", "FIELD:COLUMN"),
        ("name:", "name the file's column"),
        ("name:Title,name:Handle", "name is given twice"),
        ("name:Titel", "no column 'Titel'; it has: Handle, Title"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused(mapping: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says):
        read(PRODUCT_COLUMNS, "Handle", "Title", mapping=mapping)
