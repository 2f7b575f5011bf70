"""Two hostile clients beside ordinary ones: what others wait while 930 kB bodies of unknown fields arrive."""

import threading

import orjson

from benchmarks.frame import RUNS, Bench, Row, make_topic, median
from benchmarks.load import load, post
from shared import messages

SECONDS = 2.0
HOSTILE_CLIENTS = 2
LIMIT = 3.0


def hostile_bodies() -> dict[str, bytes]:
    """Return the bodies by name, each about 930 kB or as many fields as the edge lets through."""
    return {
        "unknown fields": orjson.dumps({f"f{number:06}": 1 for number in range(66_000)}),
        "batch of invalid events": orjson.dumps(
            {"events": [{f"f{field:04}": "x" * 20 for field in range(39)} for _ in range(500)]}
        ),
        "nested": b"[" * 465_000 + b"]" * 465_000,
    }


def rows(bench: Bench) -> list[Row]:
    """Measure the median of POST /events alone, and beside two clients that never pause."""
    make_topic(bench, messages.USER_EVENTS)
    event = orjson.dumps({"user_id": "user-1", "product_id": 1, "event_type": "view"})
    ordinary = {"POST /events": [post("/events", event)]}
    measured: list[Row] = []
    with bench.serving("events") as url:
        for name, requests in ordinary.items():
            load(url, requests, connections=1, seconds=1)
            alone = median([load(url, requests, connections=1, seconds=SECONDS).percentile(0.5) for _ in range(RUNS)])
            measured.append(Row(f"{name}, alone, p50", alone, "ms"))
            for body_name, body in hostile_bodies().items():
                beside = median([_beside(url, requests, post("/events/batch", body)) for _ in range(RUNS)])
                measured.append(
                    Row(
                        f"… beside 2 hostile clients: {body_name}", beside / alone, "×", LIMIT, True, f"{beside:.1f} ms"
                    )
                )
    return measured


def _beside(url: str, requests: list[bytes], attack: bytes) -> float:
    """Return the median of ``requests`` in milliseconds while the hostile clients send without a pause."""
    hostile = threading.Thread(
        target=load, args=(url, [attack]), kwargs={"connections": HOSTILE_CLIENTS, "seconds": SECONDS + 1}
    )
    hostile.start()
    try:
        return load(url, requests, connections=1, seconds=SECONDS).percentile(0.5)
    finally:
        hostile.join()
