"""Lists of ids in query parameters."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.http.parameters import id_list, ids_in

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
    with pytest.raises(ValidationError, match="must be up to 3 ids of 1 or more, separated by commas"):
        LIST.validate_python(value)
