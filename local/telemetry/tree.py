"""`./aisle trace ID`: what a request caused, from the route to the rows that an event function wrote."""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from local.errors import CommandError, Refused
from local.places import home
from local.telemetry.store import MOST_SPANS, StoredSpan, find, path_in
from shared.telemetry.spans import FUNCTION

ID: Final = re.compile(r"[A-Za-z0-9._:/=+@-]{1,128}")
# parts export what they recorded every half second
WAIT_S: Final = 3.0
# of the same parent; a job may run thousands of statements
MOST_CHILDREN: Final = 40
STATEMENT_CHARACTERS: Final = 60


def trace(arguments: Sequence[str]) -> int:
    """Print the tree of a trace. Raises Refused for anything but one id, CommandError if no span has it."""
    if len(arguments) != 1 or not ID.fullmatch(arguments[0]):
        raise Refused("Name one request by the value of its X-Request-ID, or one trace by its id: ./aisle trace ID.")
    path = path_in(home())
    deadline = time.monotonic() + WAIT_S
    spans: list[StoredSpan] = []
    # until the event functions have ended, whose spans come last
    while time.monotonic() < deadline:
        before, spans = spans, find(path, arguments[0])
        if spans and len(spans) == len(before):
            break
        time.sleep(1.0)
    if not spans:
        raise CommandError(
            f"No trace has the id {arguments[0]}. The system keeps the newest {MOST_SPANS:,} spans, unless "
            "OTEL_SDK_DISABLED is true or OTEL_EXPORTER_OTLP_ENDPOINT sends them elsewhere."
        )
    print("\n".join(lines(spans)))
    return 0


def lines(spans: Sequence[StoredSpan]) -> Iterator[str]:
    """Yield the lines of a trace: when each span began and how long it took, in ms, and the tree."""
    begun = spans[0].start_ns
    known = {span.span_id for span in spans}
    children: dict[str, list[StoredSpan]] = defaultdict(list)
    for span in spans:
        # a parent that is not here was another system's, or has not ended
        children[span.parent_id if span.parent_id in known else ""].append(span)
    yield f"Trace {spans[0].trace_id}"
    yield f"{'BEGAN':>9}  {'TOOK':>9}  (ms)"
    yield from _branch(children, "", "", begun)


def _branch(children: dict[str, list[StoredSpan]], parent: str, indent: str, begun: int) -> Iterator[str]:
    siblings = children[parent]
    shown = siblings[:MOST_CHILDREN]
    for span in shown:
        is_last = span is siblings[-1]
        fork, below = ("", "") if not parent else ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        yield (
            f"{(span.start_ns - begun) / 1e6:9.1f}  {(span.end_ns - span.start_ns) / 1e6:9.1f}  "
            f"{indent}{fork}{described(span)}"
        )
        yield from _branch(children, span.span_id, indent + below, begun)
    if len(siblings) > len(shown):
        yield f"{'':22}{indent}└─ and {len(siblings) - len(shown)} more"


def described(span: StoredSpan) -> str:
    """Return a span in one line."""
    attributes = span.attributes
    parts = [span.name]
    if (status := attributes.get("http.response.status_code")) is not None:
        parts.append(str(status))
    if (cache := attributes.get("aisle.cache")) in ("hit", "miss"):
        parts.append(f"cache {cache}")
    if (function := attributes.get(FUNCTION)) and function not in span.name:
        parts.append(f"[{function}]")
    if statement := attributes.get("db.query.text"):
        text = str(statement)
        parts.append(text if len(text) <= STATEMENT_CHARACTERS else text[:STATEMENT_CHARACTERS] + " …")
    if span.failure:
        parts.append(f"FAILED: {span.failure}")
    return "  ".join(parts)
