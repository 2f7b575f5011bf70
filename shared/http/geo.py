"""A location for requests without one: the client's, as the load balancer reports it in the header GEO_HEADER."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

# A tenth of a degree is at most 11 km. The location is that of a city anyway, and neighbours then share stored answers.
DECIMALS: Final = 1


def place_of(headers: Iterable[tuple[bytes, bytes]], name: str) -> tuple[float, float] | None:
    """Return the client's latitude and longitude, rounded to DECIMALS; None without a valid location.

    The load balancer writes ``37.386051,-122.083851``, or nothing for an unknown location. The last values count: a
    proxy that adds its header to the client's own appends it.
    """
    wanted = name.lower().encode()
    values = b",".join(value for key, value in headers if key == wanted)
    try:
        latitude, longitude = (float(part) for part in values.split(b",")[-2:])
    except ValueError:
        return None
    if not (math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    # 0.0 instead of -0.0, which would be a different key for stored answers.
    return round(latitude, DECIMALS) + 0.0, round(longitude, DECIMALS) + 0.0


def located(query: bytes, needed: Sequence[bytes], headers: Iterable[tuple[bytes, bytes]], name: str) -> bytes | None:
    """Return the query string with the client's location added; None if it stays unchanged.

    It stays unchanged if it has a location, if it has none of the ``needed`` parts (if any are given), or if the
    location is unknown. The location comes first, so that the client's own parameters override it even if spelled in a
    way not recognized here.
    """
    if b"latitude=" in query or b"longitude=" in query or (needed and not any(part in query for part in needed)):
        return None
    place = place_of(headers, name)
    if place is None:
        return None
    return b"latitude=%.1f&longitude=%.1f" % place + (b"&" + query if query else b"")
