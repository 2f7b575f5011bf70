"""The place of a client, as the load balancer tells it, and the queries that get it."""

import pytest

from shared.http.geo import located, place_of

NAME = "X-Client-Place"


def headers(*values: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"host", b"1,2"), *((b"x-client-place", value) for value in values)]


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([b"37.386051,-122.083851"], (37.4, -122.1)),
        ([b" 90 , -180 "], (90.0, -180.0)),
        ([b"-0.04,0.04"], (0.0, 0.0)),
        # the client's own header, and the load balancer's behind it, in one line and in two
        ([b"1,2,52.52,13.405"], (52.5, 13.4)),
        ([b"1,2", b"52.52,13.405"], (52.5, 13.4)),
        # the load balancer does not know the place
        ([b""], None),
        ([b"1,2", b""], None),
        ([b"90.01,0"], None),
        ([b"0,180.01"], None),
        ([b"nan,0"], None),
        ([b"0,inf"], None),
        ([b"north,east"], None),
        ([b"52.52"], None),
        ([], None),
    ],
)
def test_the_last_values_of_the_header_are_the_place(values: list[bytes], place: tuple[float, float] | None) -> None:
    assert place_of(headers(*values), NAME) == place
    assert place_of(headers(*values), "X-Other") is None


@pytest.mark.parametrize(
    ("query", "needed", "expected"),
    [
        (b"", (), b"latitude=52.5&longitude=13.4"),
        (b"user_id=u", (), b"latitude=52.5&longitude=13.4&user_id=u"),
        (b"sort=distance&k=1", (b"sort=distance",), b"latitude=52.5&longitude=13.4&sort=distance&k=1"),
        (b"sort=popular", (b"sort=distance",), None),
        (b"latitude=1&longitude=2", (), None),
        (b"latitude=1", (), None),
        (b"sort=distance&longitude=2", (b"sort=distance",), None),
    ],
)
def test_a_query_gets_the_place_if_it_needs_one_and_names_none(
    query: bytes, needed: tuple[bytes, ...], expected: bytes | None
) -> None:
    assert located(query, needed, headers(b"52.52,13.405"), NAME) == expected
    assert located(query, needed, headers(b"unknown"), NAME) is None
