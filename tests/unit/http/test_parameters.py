"""Query parameters that several functions share: lists of ids, and pages."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.http.parameters import PageQuery, id_list, ids_in

LIST = TypeAdapter(Annotated[str, id_list(3)])


@pytest.mark.parametrize(
    ("value", "ids"),
    [("", []), ("7", [7]), ("3,1,2", [3, 1, 2]), ("5,5,1", [5, 1]), ("999999999999999", [999_999_999_999_999])],
)
def test_ids_keep_their_order_and_are_returned_once(value: str, ids: list[int]) -> None:
    assert LIST.validate_python(value) == value
    assert ids_in(value, 3) == ids


@pytest.mark.parametrize("value", ["0", "1,0", "-1", "01", "x", ",", "1,", "1,,2", "1 2", "1,2,3,4", "٣", "9" * 16])
def test_a_list_with_anything_else_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="must be at most 3 positive ids, separated by commas"):
        LIST.validate_python(value)


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (50, 1), (51, 2), (100, 2)])
def test_the_last_page_may_be_partly_filled(total: int, pages: int) -> None:
    assert PageQuery(page=1, page_size=50).members(total) == {
        "total": total,
        "page": 1,
        "page_size": 50,
        "total_pages": pages,
    }


def test_a_page_begins_where_the_one_before_it_ended() -> None:
    assert PageQuery(page=1, page_size=20).offset == 0
    assert PageQuery(page=3, page_size=20).offset == 40
