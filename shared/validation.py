"""Conversion of Pydantic's validation errors to field errors, to one sentence, and to the error to respond with."""

import re
from collections.abc import Sequence
from typing import Any, Final, Protocol

from shared.errors import AppError, InvalidRequest, MalformedBody

# Maximum errors listed in a problem document, so that a response cannot be many times as long as its request.
MAX_ERRORS: Final = 20
# FastAPI's names for where a value came from, which are dropped from field paths.
_SOURCES: Final = ("body", "query", "path", "header")


class Invalid(Protocol):
    """A ``pydantic.ValidationError``, or FastAPI's ``RequestValidationError``."""

    def errors(self) -> Sequence[Any]:
        """Return one mapping per error with ``loc``, ``msg`` and ``type``."""


def field_errors(error: Invalid) -> list[dict[str, str]]:
    """Return each error as ``{field, message, type}``; ``field`` is a dotted path, empty if the error has no field.

    The rejected value is left out: it may be secret, or not even text. At most MAX_ERRORS are returned.
    """
    return _field_errors(_distinct(error))


def _distinct(error: Invalid) -> list[Any]:
    """Return the errors without duplicates, since a parameter read by two dependencies fails once in each."""
    return list({(*map(str, entry["loc"]), entry["type"], entry["msg"]): entry for entry in error.errors()}.values())


def _field_errors(entries: Sequence[Any]) -> list[dict[str, str]]:
    result = []
    for entry in entries[:MAX_ERRORS]:
        # Names in parentheses are those of a union's members.
        location = [part for part in map(str, entry["loc"]) if not part.startswith("(")]
        source = location[0] if location and location[0] in _SOURCES else ""
        field = ".".join(location[1:] if source else location)
        kind = str(entry["type"])
        message = str(entry["msg"]).removeprefix("Value error, ")
        if kind == "extra_forbidden":
            message = f"Unknown {'query parameter' if source == 'query' else 'field'} `{field}`."
        elif kind in ("model_attributes_type", "missing") and source == "body" and not field:
            message = "The body must be a JSON object, sent with `Content-Type: application/json`."
        elif kind in ("too_short", "too_long"):
            message = re.sub(r"^\w+ should have(.*?)(?: after validation)?,", r"must have\1,", message)
        result.append({"field": field, "message": message, "type": kind})
    return result


def first_error(error: Invalid) -> str:
    """Return the first error as text, ``field: message``."""
    return describe(field_errors(error)[0])


def describe(error: dict[str, str]) -> str:
    """Return one field error as text, ``field: message``; an unknown field's message names the field itself."""
    if not error["field"] or error["type"] == "extra_forbidden":
        return error["message"]
    return f"{error['field']}: {error['message']}"


def validation_problem(error: Invalid) -> AppError:
    """Return InvalidRequest with the first MAX_ERRORS field errors, or MalformedBody for a body that is not JSON."""
    entries = _distinct(error)
    errors = _field_errors(entries)
    if any(entry["type"] == "json_invalid" for entry in errors):
        return MalformedBody("The body is not valid JSON: " + errors[0]["message"] + ".")
    more = f" (and {len(entries) - 1} more)" if len(entries) > 1 else ""
    return InvalidRequest(describe(errors[0]) + more, errors=errors)
