"""JSON lines: one object a line."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import orjson

from shared.errors import InvalidRequest
from shared.tables.columns import Columns
from shared.tables.text_files import MAX_RECORD_BYTES, open_text

_ARRAY: Final = (
    "The file is a JSON array; write one object per line (JSON lines), as jq -c '.[]' does, or in pandas "
    "to_json(orient='records', lines=True)."
)


def _no_number(name: str) -> None:
    if name != "NaN":
        raise ValueError(f"{name} is not a number")


def _loads(line: bytes) -> Any:
    """Return the value of a line; NaN, as Python writes it for a value that is missing, is null.

    Raises orjson.JSONDecodeError.
    """
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        if b"NaN" not in line:
            raise
        try:
            # through orjson again: its rules for text and numbers are the stricter ones
            return orjson.loads(orjson.dumps(json.loads(line, parse_constant=_no_number)))
        except (ValueError, TypeError, RecursionError):
            pass
        raise


def _utf8(line: bytes, encoding: str) -> bytes:
    return line if encoding == "utf-8" else line.decode(encoding).encode("utf-8", "surrogatepass")


def _is_array(line: bytes) -> bool:
    """Return whether a file whose first line begins with ``[`` is an array of objects."""
    try:
        value = _loads(line)
    except orjson.JSONDecodeError:
        # over several lines
        return True
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _check_mapping(columns: Columns, sample: Sequence[bytes], encoding: str) -> None:
    """Raise InvalidRequest when the mapping names a column that none of the first lines has."""
    names: dict[str, None] = {}
    for line in sample:
        try:
            value = _loads(_utf8(line.strip(), encoding))
        except ValueError:
            continue
        if isinstance(value, dict):
            names.update(dict.fromkeys(value))
    columns.check_mapped(list(names))


def json_records(
    blocks: Iterable[bytes], encoding: str | None = None, columns: Columns | None = None
) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield each line's number (from 1) and its object, or in its place why it has none. Blank lines are skipped.

    Raises InvalidRequest for an array of objects, and where the mapping of ``columns`` names a column that none of the
    first lines (SAMPLE_BYTES) has.
    """
    text = open_text(blocks, encoding)
    if columns is not None and columns.mapping:
        _check_mapping(columns, text.sample, text.encoding)
    is_first = True
    for number, line in enumerate(text.lines, start=1):
        stripped = line.strip()
        if not stripped:
            continue
        try:
            content = _utf8(stripped, text.encoding)
        except UnicodeDecodeError:
            yield number, f"is not {text.written}"
            continue
        if is_first and stripped.startswith(b"[") and (len(stripped) > MAX_RECORD_BYTES or _is_array(content)):
            raise InvalidRequest(_ARRAY)
        is_first = False
        if len(stripped) > MAX_RECORD_BYTES:
            yield number, f"is longer than {MAX_RECORD_BYTES} bytes"
            continue
        try:
            values = _loads(content)
        except orjson.JSONDecodeError as error:
            yield number, f"is not valid JSON: {error.msg} at character {error.pos + 1}"
            continue
        yield number, values if isinstance(values, dict) else "must be a JSON object"
