"""JSON values that Postgres can store: validation of client input, and an escaped form for all other values.

``jsonb`` and ``text`` hold neither NUL nor lone surrogates, and ``jsonb`` neither NaN nor infinity.
"""

import json
import re
from typing import Any, Final

# Maximum nesting depth. Deeper values approach the limits of parsers and of the interpreter's stack: orjson writes 254
# levels, and metadata is wrapped in messages and responses.
MAX_DEPTH: Final = 100
MAX_DEEP_CHARACTERS: Final = 10_000
# Levels that ``without_depths`` leaves: more than MAX_DEPTH plus a message around it, so that a truncated value is
# rejected later; and far less than the 1,000 levels that parsers accept.
PARSED_DEPTH: Final = 2 * MAX_DEPTH
# A string, even an unterminated one, or a bracket.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{}\]]', re.DOTALL)
_MIN_INTEGER: Final = -(2**63)
_MAX_INTEGER: Final = 2**64 - 1


def storable_json(value: Any) -> Any:
    """Return ``value``; raise ValueError if jsonb cannot store it (NUL, lone surrogates, NaN or infinity anywhere).

    Also raises ValueError for a value nested deeper than MAX_DEPTH.
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
    """Return JSON in which each value nested deeper than PARSED_DEPTH is replaced by a string, the start of its JSON.

    Parsers reject a whole document for one value that is nested too deeply. Invalid JSON stays invalid, unless the
    error is in a part that is replaced.
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
    # Unclosed brackets are dropped, so that no parser counts their levels; the rest is not valid JSON either way.
    return "".join([*kept, text[taken:begin] if depth > PARSED_DEPTH else text[taken:]])


def escaped_text(text: str) -> str:
    """Return ``text`` with a backslash escape in place of each character that Postgres cannot store."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def escaped_json(value: Any) -> Any:
    """Return ``value`` in a form that jsonb can store, so that rejected values can be stored too.

    Strings are escaped by ``escaped_text``. Numbers that JSON or orjson cannot represent become strings, and so do
    values nested deeper than MAX_DEPTH, of which MAX_DEEP_CHARACTERS characters are kept.
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
