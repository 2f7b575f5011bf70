"""JSON values that Postgres can store: the check of what clients send, and the form in which any other value is kept.

``jsonb`` and ``text`` hold neither NUL nor lone surrogates, and ``jsonb`` neither NaN nor infinity.
"""

import json
import re
from typing import Any, Final

# Deeper values reach the limits of parsers and of the interpreter's stack: orjson writes 254 levels, and metadata is
# wrapped in messages and answers.
MAX_DEPTH: Final = 100
MAX_DEEP_CHARACTERS: Final = 10_000
# What ``without_depths`` leaves: more than MAX_DEPTH with a message around it, so that a value which was shortened is
# refused afterwards; and far less than the 1,000 levels that parsers take.
PARSED_DEPTH: Final = 2 * MAX_DEPTH
# a text, even one without an end, or a bracket
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{}\]]', re.DOTALL)
_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**64 - 1


def storable_json(value: Any) -> Any:
    """Return ``value``; raise ValueError if jsonb cannot hold it: NUL, lone surrogates, NaN or infinity anywhere.

    Also raises ValueError for a value that is nested deeper than MAX_DEPTH.
    """
    _check(value, 0)
    return value


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= c <= "\udfff" for c in value):
            raise ValueError("must not contain NUL or lone surrogates")
    elif isinstance(value, (dict, list)):
        if depth == MAX_DEPTH:
            raise ValueError(f"must be nested at most {MAX_DEPTH} levels deep")
        for inner in value:
            _check(inner, depth + 1)
        if isinstance(value, dict):
            for inner in value.values():
                _check(inner, depth + 1)
    elif isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        raise ValueError("must not contain NaN or infinity")


def without_depths(text: str) -> str:
    """Return JSON in which each value below PARSED_DEPTH levels is replaced by a text: the beginning of its JSON.

    Parsers refuse a whole document for one value that is nested too deeply. A text that is not JSON stays invalid,
    unless its fault is in a part that is replaced.
    """
    kept: list[str] = []
    depth = taken = begin = 0
    for token in _TOKEN.finditer(text):
        bracket = token[0]
        if bracket in ("[", "{"):
            depth += 1
            if depth == PARSED_DEPTH + 1:
                begin = token.start()
        elif bracket in ("]", "}"):
            if depth == PARSED_DEPTH + 1:
                deep = text[begin : min(token.end(), begin + MAX_DEEP_CHARACTERS)]
                kept += text[taken:begin], json.dumps(deep)
                taken = token.end()
            depth -= 1
    # brackets without an end are left out, so that no parser counts their levels: the rest is no JSON either way
    return "".join([*kept, text[taken:begin] if depth > PARSED_DEPTH else text[taken:]])


def escaped_text(text: str) -> str:
    """Return ``text`` with a backslash escape in place of each character that Postgres cannot store."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def escaped_json(value: Any) -> Any:
    """Return ``value`` in a form that jsonb can hold, so that refused values can be stored too.

    Texts are those of ``escaped_text``. Numbers that JSON or orjson do not have become texts, and so does what is
    nested deeper than MAX_DEPTH, of which MAX_DEEP_CHARACTERS are kept.
    """
    return _escape(value, 0)


def _escape(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return escaped_text(value)
    if isinstance(value, int):
        return int(value) if _MIN_INTEGER <= value <= _MAX_INTEGER else repr(value)
    if isinstance(value, float):
        return float(value) if abs(value) < float("inf") else repr(value)
    if not isinstance(value, (dict, list, tuple)):
        return escaped_text(repr(value))
    if depth == MAX_DEPTH:
        return _deep_text(value)
    if isinstance(value, dict):
        return {escaped_text(str(key)): _escape(inner, depth + 1) for key, inner in value.items()}
    return [_escape(inner, depth + 1) for inner in value]


def _deep_text(value: Any) -> str:
    try:
        return json.dumps(value, default=repr)[:MAX_DEEP_CHARACTERS]
    except (RecursionError, ValueError, TypeError):
        return f"(nested deeper than {MAX_DEPTH} levels)"
