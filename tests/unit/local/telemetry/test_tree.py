"""The tree of a trace."""

from local.telemetry import tree
from local.telemetry.store import StoredSpan

MS = 1_000_000


def span(span_id: str, parent_id: str, start_ms: int, end_ms: int, name: str, **fields: object) -> StoredSpan:
    attributes = {key.replace("__", "."): value for key, value in fields.items() if key != "failure"}
    return StoredSpan(
        "t", span_id, parent_id, name, "gateway", start_ms * MS, end_ms * MS, str(fields.get("failure", "")), attributes
    )


def test_children_stand_below_their_parent_with_begin_and_duration() -> None:
    spans = [
        span("a", "remote", 100, 130, "POST /events", http__response__status_code=202, aisle__cache="none"),
        span("b", "a", 101, 125, "publish user-events"),
        span("c", "b", 140, 150, "update_preferences", faas__name="update_preferences"),
        span("d", "c", 141, 142, "postgresql", db__query__text="SELECT " + "x" * 100),
        span("e", "a", 126, 127, "redis", failure="TimeoutError"),
    ]
    assert list(tree.lines(spans))[2:] == [
        "      0.0       30.0  POST /events  202",
        "      1.0       24.0  ├─ publish user-events",
        "     40.0       10.0  │  └─ update_preferences",
        "     41.0        1.0  │     └─ postgresql  SELECT " + "x" * 53 + " …",
        "     26.0        1.0  └─ redis  FAILED: TimeoutError",
    ]


def test_a_span_whose_parent_is_not_here_stands_at_the_root() -> None:
    spans = [span("a", "", 0, 1, "job popular"), span("b", "lost", 2, 3, "update_popularity")]
    assert [line[22:] for line in tree.lines(spans)][2:] == ["job popular", "update_popularity"]


def test_of_many_children_the_first_are_shown() -> None:
    most = tree.MOST_CHILDREN
    for count, last in ((most, "└─ s"), (most + 2, "└─ and 2 more")):
        spans = [span("a", "", 0, 1, "job"), *(span(f"s{number}", "a", 1, 2, "s") for number in range(count))]
        found = [line[22:] for line in tree.lines(spans)][3:]
        assert (len(found), found[-1]) == (min(count, most) + (count > most), last)
