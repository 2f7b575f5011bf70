"""JSON lines: one object a line."""

from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from shared.tables.csv_files import MAX_RECORD_BYTES, open_text


def json_records(blocks: Iterable[bytes], encoding: str | None = None) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield each line's number (from 1) and its object, or in its place why it has none. Blank lines are skipped.

    JSON is UTF-8 unless a byte order mark or ``encoding`` says otherwise.
    """
    text = open_text(blocks, encoding or "utf-8")
    for number, line in enumerate(text.lines, start=1):
        stripped = line.strip()
        if not stripped:
            continue
        if len(stripped) > MAX_RECORD_BYTES:
            yield number, f"is longer than {MAX_RECORD_BYTES} bytes"
            continue
        try:
            values = orjson.loads(stripped if text.encoding == "utf-8" else stripped.decode(text.encoding))
        except orjson.JSONDecodeError as error:
            yield number, f"is not valid JSON: {error.msg} at character {error.pos + 1}"
            continue
        except UnicodeDecodeError:
            yield number, f"is not {text.encoding}"
            continue
        yield number, values if isinstance(values, dict) else "must be a JSON object"
