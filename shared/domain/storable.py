"""What PostgreSQL can hold as text and jsonb: the rule for values that are accepted, and a form for any other value.

Neither holds NUL or lone surrogates, and jsonb holds no NaN and no infinity.
"""

from typing import Any, Final

MAX_DEPTH: Final = 64
_LARGEST: Final = 2**63 - 1
_TOO_DEEP: Final = "(nested too deeply)"


def require_json(value: Any) -> Any:
    """Return ``value``; raise ValueError if jsonb cannot hold it, or if it is nested more than MAX_DEPTH levels."""
    level = [value]
    for _depth in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                if text_of(item) != item:
                    raise ValueError("must not contain NUL or lone surrogates")
            elif isinstance(item, float):
                if not _is_finite(item):
                    raise ValueError("must not contain NaN or infinity")
            elif isinstance(item, dict):
                inner += item
                inner += item.values()
            elif isinstance(item, list):
                inner += item
        if not inner:
            return value
        level = inner
    raise ValueError(f"must be nested at most {MAX_DEPTH} levels")


def text_of(text: str) -> str:
    """Return ``text`` with NUL and lone surrogates as escapes, which stay visible."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def json_of(value: Any, depth: int = 0) -> Any:
    """Return ``value`` as jsonb holds it.

    Texts are those of ``text_of``. What is no JSON, and numbers that jsonb or orjson cannot hold, are texts. What lies
    deeper than MAX_DEPTH is left out.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, int):
        return value if -_LARGEST <= value <= _LARGEST else str(value)
    if isinstance(value, float):
        return value if _is_finite(value) else str(value)
    if isinstance(value, (dict, list, tuple)):
        if depth == MAX_DEPTH:
            return _TOO_DEEP
        if isinstance(value, dict):
            return {text_of(str(key)): json_of(inner, depth + 1) for key, inner in value.items()}
        return [json_of(inner, depth + 1) for inner in value]
    return text_of(repr(value))


def _is_finite(number: float) -> bool:
    return number == number and number not in (float("inf"), float("-inf"))
