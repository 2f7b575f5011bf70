"""Pydantic's errors as field errors, text and problems."""

from typing import Any

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import InvalidRequest, MalformedBody
from shared.validation import field_errors, first_error, validation_problem


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    path: int = Field(ge=1)


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    inner: list[Inner] = []


def invalid(values: Any) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(values)
    return caught.value


def test_a_field_is_a_dotted_path_and_its_value_is_not_repeated() -> None:
    errors = field_errors(invalid({"inner": [{"path": 1}, {"path": "secret"}]}))
    assert [(error["field"], error["type"]) for error in errors] == [("inner.1.path", "int_parsing")]
    assert "secret" not in str(errors)


def test_an_unknown_field_or_query_parameter_is_named_in_a_sentence() -> None:
    assert first_error(invalid({"colour": 1})) == "Unknown field `colour`."
    error = RequestValidationError([{"loc": ("query", "foo"), "msg": "Extra inputs", "type": "extra_forbidden"}])
    problem = validation_problem(error)
    assert problem.detail == "Unknown query parameter `foo`."
    assert problem.errors == ({"field": "foo", "message": "Unknown query parameter `foo`.", "type": "extra_forbidden"},)


def test_a_problem_names_the_first_error_and_counts_the_others() -> None:
    problem = validation_problem(invalid({"inner": [{"path": 0}, {"path": 0}, {"path": 0}]}))
    assert isinstance(problem, InvalidRequest)
    assert problem.detail == "inner.0.path: Input should be greater than or equal to 1 (and 2 more)"
    assert len(problem.errors) == 3


def test_a_body_that_is_not_json_is_malformed() -> None:
    error = RequestValidationError(
        [{"loc": ("body", 3), "msg": "JSON decode error", "type": "json_invalid", "ctx": {"error": "x"}}]
    )
    assert isinstance(validation_problem(error), MalformedBody)


def test_a_parameter_that_two_dependencies_read_is_one_error() -> None:
    user = {"loc": ("query", "user_id"), "msg": "Value error, must be an id", "type": "value_error"}
    others = [user | {"loc": ("query", "guest_id")}, user | {"msg": "Value error, must be short"}]
    problem = validation_problem(RequestValidationError([user, dict(user), *others, dict(user)]))
    assert [(error["field"], error["message"]) for error in problem.errors] == [
        ("user_id", "must be an id"),
        ("guest_id", "must be an id"),
        ("user_id", "must be short"),
    ]
    assert problem.detail == "user_id: must be an id (and 2 more)"
    assert validation_problem(RequestValidationError([user, dict(user)])).detail == "user_id: must be an id"


def test_a_missing_body_is_not_a_missing_field() -> None:
    body = RequestValidationError([{"loc": ("body",), "msg": "Field required", "type": "missing"}])
    assert validation_problem(body).detail == (
        "The body must be a JSON object, sent with `Content-Type: application/json`."
    )
    field = RequestValidationError([{"loc": ("body", "email"), "msg": "Field required", "type": "missing"}])
    assert validation_problem(field).detail == "email: Field required"


@pytest.mark.parametrize(
    ("paths", "message"), [(0, "must have at least 1 item, not 0"), (4, "must have at most 3 items")]
)
def test_a_list_of_the_wrong_length_is_refused_with_the_limit(paths: int, message: str) -> None:
    class Paths(BaseModel):
        paths: list[int] = Field(min_length=1, max_length=3)

    with pytest.raises(ValidationError) as caught:
        Paths.model_validate({"paths": list(range(paths))})
    assert first_error(caught.value).startswith(f"paths: {message}")
    assert Paths.model_validate({"paths": [1, 2, 3]}).paths == [1, 2, 3]
