"""Which errors after a fault count as new requests that fail, and which as the end of what the fault interrupted."""

import pytest

from local.chaos.command import failing_times
from local.chaos.driver import Reply, Sample

END = 100.0
FAILED = Reply(503, b"", "1")


def error(first: float, began: float, ended: float) -> Sample:
    return Sample("event", first, began, ended, FAILED, "POST /events")


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([], (0, 0)),
        # over before the end
        ([error(90, 90, 99)], (0, 0)),
        # a request of before, answered and repeated afterwards
        ([error(99, 99, 101), error(99, 110, 112)], (0, 12)),
        # at the end itself it is one of before
        ([error(END, END, 103)], (0, 3)),
        ([error(100.5, 100.5, 101), error(100.5, 103, 104), error(101, 101, 102)], (4, 0)),
        ([error(99, 105, 107), error(101, 101, 102)], (2, 7)),
    ],
)
def test_new_requests_are_told_from_repeated_ones(errors: list[Sample], expected: tuple[float, float]) -> None:
    assert failing_times(errors, END) == expected
