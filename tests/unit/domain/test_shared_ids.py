"""Ids that scripts send for everybody are no user's."""

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.domain.events import StoredUserId, UserId
from shared.domain.shared_ids import is_shared

SHARED = [
    "undefined",
    "Undefined",
    "UNDEFINED",
    " undefined ",
    '"undefined"',
    "'null'",
    "`undefined`",
    "null",
    "NULL",
    "None",
    "none",
    "nil",
    "NaN",
    "nan",
    "[object Object]",
    "[OBJECT OBJECT]",
    "true",
    "False",
    "0",
    "-1",
    "anonymous",
    "guest",
    "distinct_id",
    "not_authenticated",
    " ",
    "\t\n",
    "''",
    "{{ user.id }}",
    "${userId}",
    "%USER_ID%",
    "\u00a0undefined\u00a0",
    "undefined\u200b",
    "\ufeffnull",
    "ｕｎｄｅｆｉｎｅｄ",
    "\u2028\u3000",
    "[object Promise]",
    "[object HTMLInputElement]",
    "function () { return id }",
    "() => user.id()",
    "undefined,undefined",
    "null_null",
    "undefined undefined",
    "00000000-0000-0000-0000-000000000000",
    "0" * 32,
]
OWN = [
    *(
        "nullable",
        "undefined1",
        "NaNcy",
        "nonesuch",
        "null-42",
        "guests",
        "visitor",
        "user",
        "guest_0b7c4f0e9d0a4a538a9f6d5a7f3c2e10",
        "00000000-0000-0000-0000-000000000001",
        "0" * 31,
        "undefined,42",
        "[object of desire]",
        "functional",
        "class of 1999",
        "ｎａｄａ",
        "null\u200b7",
    ),
    *("1", "00", "10", "-2", "17850", "u0", "true-north", "anonymous-7f3a", "0x1", "object", "{7f3a", "100%", "ñandú"),
]


@pytest.mark.parametrize("user_id", SHARED)
def test_an_id_that_scripts_send_for_everybody_is_refused_with_the_remedy(user_id: str) -> None:
    assert is_shared(user_id)
    with pytest.raises(ValidationError, match=r"the id of a single user.*POST /auth/guest"):
        TypeAdapter(UserId).validate_python(user_id)
    # staff can still find and erase what an earlier release stored
    assert TypeAdapter(StoredUserId).validate_python(user_id) == user_id


@pytest.mark.parametrize("user_id", OWN)
def test_an_id_that_only_looks_alike_is_taken(user_id: str) -> None:
    assert not is_shared(user_id)
    assert TypeAdapter(UserId).validate_python(user_id) == user_id
