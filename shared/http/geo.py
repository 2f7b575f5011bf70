"""A location for requests without one: the client's, as the load balancer reports it in the header GEO_HEADER."""

import math
from collections.abc import Iterable, Sequence
from typing import Final

# A tenth of a degree is 11 km at most. The place is that of a city, and so neighbours share stored answers.
DECIMALS: Final = 1


def place_of(headers: Iterable[tuple[bytes, bytes]], name: str) -> tuple[float, float] | None:
    """Return latitude and longitude of the client, rounded to DECIMALS; None without a valid place.

    The load balancer writes ``37.386051,-122.083851``, or nothing for an unknown place. The last values count: a proxy
    that adds its header to the client's own puts it behind.
    """
    wanted = name.lower().encode()
    values = b",".join(value for key, value in headers if key == wanted)
    try:
        latitude, longitude = (float(part) for part in values.split(b",")[-2:])
    except ValueError:
        return None
    if not (math.isfinite(latitude) and math.isfinite(longitude) and abs(latitude) <= 90 and abs(longitude) <= 180):
        return None
    # 0.0 for -0.0, which would be another key of stored answers
    return round(latitude, DECIMALS) + 0.0, round(longitude, DECIMALS) + 0.0


def located(query: bytes, needed: Sequence[bytes], headers: Iterable[tuple[bytes, bytes]], name: str) -> bytes | None:
    """Return a query string with the client's place; None if it stays as it is.

    It stays if it names a place, if it has none of the ``needed`` parts (none: any query), or if no place is known. The
    place stands first, so that a spelling of the client's own parameters which is not seen here still counts.
    """
    if b"latitude=" in query or b"longitude=" in query or (needed and not any(part in query for part in needed)):
        return None
    place = place_of(headers, name)
    if place is None:
        return None
    return b"latitude=%.1f&longitude=%.1f" % place + (b"&" + query if query else b"")
