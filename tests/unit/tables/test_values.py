"""Ids, numbers and event types as the tools of shops write them."""

import pytest

from shared.domain.events import EventType
from shared.errors import InvalidRequest
from shared.tables.values import event_type_of, find_decimals, id_of, number_text, parse_event_types, whole_number


@pytest.mark.parametrize("value", [1001, 1001.0, "1001", "1001.0", " 1001 ", "1001.00"])
def test_one_number_is_one_id_however_it_is_written(value: object) -> None:
    assert id_of(value) == "1001"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("007", "007"),
        ("007.0", "007.0"),
        ("1.2.0", "1.2.0"),
        ("A1.0", "A1.0"),
        (12.5, "12.5"),
        ("", None),
        (None, None),
    ],
)
def test_a_text_that_only_resembles_a_whole_number_is_unchanged(value: object, text: str | None) -> None:
    assert id_of(value) == text


@pytest.mark.parametrize("value", [True, [1], {"id": 1}, 1e23])
def test_a_value_that_cannot_be_an_id_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"must be text|too large"):
        id_of(value)


@pytest.mark.parametrize(
    ("text", "decimal", "number"),
    [
        ("12.50", ".", "12.50"),
        ("12,50", ",", "12.50"),
        ("1,299.00", ".", "1299.00"),
        ("1.299,00", ",", "1299.00"),
        ("1 299,00", ",", "1299.00"),
        ("1\u202f299,00", ",", "1299.00"),
        ("1'299.00", ".", "1299.00"),
        ("1,299", ".", "1299"),
        ("1.299", ",", "1299"),
        ("1,299,000", None, "1299000"),
        ("1,299.5", None, "1299.5"),
        (".5", ".", ".5"),
        ("-3", ".", "-3"),
        ("1e3", ".", "1e3"),
        # 1299 or 1.299
        ("1,299", None, None),
        ("1.500", "", None),
        ("1,500", "", None),
        ("1.50", "", "1.50"),
        ("1500", "", "1500"),
        ("1.500", None, "1.500"),
        # two decimals are no group of thousands
        ("12,50", ".", None),
        ("12.50", ",", None),
        ("1_000", ".", None),
        ("١٢", ".", None),
        ("NaN", ".", None),
        ("Infinity", ".", None),
        ("19.99 USD", ".", None),
        ("1,29,900", ".", None),
        ("", ".", None),
    ],
)
def test_a_number_has_ascii_digits_and_the_files_decimal_mark(
    text: str, decimal: str | None, number: str | None
) -> None:
    assert number_text(text, decimal) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("3.0", 3), ("3.", 3), ("1,000", 1000), ("-3", -3), ("3.5", None), ("1e2", None), ("1_000", None)],
)
def test_whole_numbers_may_be_written_as_floats(text: str, number: int | None) -> None:
    assert whole_number(text, ".") == number


@pytest.mark.parametrize(
    ("cells", "mark"),
    [
        (["12,50", "1.299,00"], ","),
        (["1.299", "12,5"], ","),
        (["0,125"], ","),
        (["1.299.000"], ","),
        (["12.50", "1,299"], "."),
        (["1,299.00"], "."),
        (["1,299,000"], "."),
        (["3", "4"], None),
        (["1,299"], None),
        (["1.299"], None),
        (["12.50", "12,50"], None),
        (["Free", "", "a,b"], None),
    ],
)
def test_the_decimal_mark_is_the_one_that_cells_show(cells: list[str], mark: str | None) -> None:
    assert find_decimals({"price": cells}) == {"price": mark}


def test_a_column_without_a_mark_has_the_one_of_the_others_unless_they_differ() -> None:
    assert find_decimals({"a": ["1,5"], "b": ["1,299"]}) == {"a": ",", "b": ","}
    assert find_decimals({"a": ["1,5"], "b": ["4.0"], "c": ["1,299"]}) == {"a": ",", "b": ".", "c": None}
    assert find_decimals({"a": ["1.5"], "b": ["1,5", "1.5"]}) == {"a": ".", "b": None}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("addtocart", EventType.ADD_TO_CART),
        ("Add to Cart", EventType.ADD_TO_CART),
        ("add-to-cart", EventType.ADD_TO_CART),
        ("transaction", EventType.PURCHASE),
        ("BUY", EventType.PURCHASE),
        ("pv", EventType.VIEW),
        ("detail-page-view", EventType.VIEW),
        ("fav", EventType.WISHLIST),
        *((kind.value, kind) for kind in EventType),
        ("applause", None),
    ],
)
def test_usual_names_of_event_types_are_known(name: str, kind: EventType | None) -> None:
    assert event_type_of(name, {}) is kind


def test_the_callers_names_of_event_types_come_first() -> None:
    mapping = parse_event_types("Kauf:purchase, click:recommendation_click")
    assert event_type_of("kauf", mapping) is EventType.PURCHASE
    assert event_type_of("click", mapping) is EventType.RECOMMENDATION_CLICK
    assert event_type_of("view", mapping) is EventType.VIEW


@pytest.mark.parametrize("text", ["kauf", "kauf:", ":view", "kauf:kaufen"])
def test_a_mapping_of_event_types_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="event_types"):
        parse_event_types(text)
