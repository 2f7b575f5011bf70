"""Ask a deployment for what a shopper asks, and compare the answers with what they must be.

    python -m delivery.smoke --outputs outputs.json        a deployment, by terraform output -json
    python -m delivery.smoke --url http://localhost:8080   a system behind one address, as the local one

Nothing is written but one event of a user that nobody is. Exits with 1 when an answer is wrong.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from delivery import outputs

TIMEOUT_S = 30
# the first request after a deployment starts an instance
ATTEMPTS = 5
PAUSE_S = 3.0
USER = "smoke-test"
Answer = tuple[int, Any]


class Check(NamedTuple):
    """A request and what its answer must be."""

    path: str
    says: str
    right: Callable[[int, Any], bool]
    body: dict[str, Any] | None = None


CHECKS = (
    Check("/products?page_size=1", "a page of products", lambda status, body: status == 200 and "products" in body),
    Check(
        "/products?colour=red", "unknown parameters are refused", lambda status, body: status == 422 and "type" in body
    ),
    Check("/popular?k=3", "popular products", lambda status, body: status == 200 and "products" in body),
    Check("/trending?window=7d&k=3", "trending products", lambda status, body: status == 200 and "products" in body),
    Check(
        f"/recommendations?user_id={USER}&k=3",
        "recommendations for somebody new",
        lambda status, body: status == 200 and bool(body.get("strategy")),
    ),
    Check("/admin/dashboard", "administration is closed", lambda status, _body: status in (401, 403)),
    Check(
        "/events",
        "an event is accepted",
        lambda status, body: status == 202 and bool(body.get("event_id")),
        {"user_id": USER, "product_id": 1, "event_type": "view"},
    ),
)


def ask(url: str, body: dict[str, Any] | None) -> Answer:
    """Return status and body; status 0 when nothing answers."""
    headers = {"Content-Type": "application/json", "User-Agent": "aisle-smoke"}
    request = Request(url, json.dumps(body).encode() if body is not None else None, headers)
    try:
        with urlopen(request, timeout=TIMEOUT_S) as answer:
            return answer.status, json.loads(answer.read() or b"{}")
    except HTTPError as error:
        text = error.read().decode(errors="replace")
        try:
            return error.code, json.loads(text)
        except ValueError:
            return error.code, {"answer": text[:300]}
    except (URLError, OSError, ValueError) as error:
        return 0, {"answer": str(error)}


def smoke(addresses: dict[str, str], pause_s: float = PAUSE_S) -> list[str]:
    """Run every check whose path is deployed; return what was wrong. ``addresses``: a path's first part to its URL."""
    wrong = []
    for check in CHECKS:
        start = "/" + check.path.lstrip("/").partition("?")[0].partition("/")[0]
        if start not in addresses:
            wrong.append(f"{start} is not deployed")
            continue
        url = addresses[start].rstrip("/") + check.path
        for attempt in range(1, ATTEMPTS + 1):
            began = time.monotonic()
            status, body = ask(url, check.body)
            took_ms = (time.monotonic() - began) * 1000
            right = isinstance(body, dict) and check.right(status, body)
            # an error of the client's will not go away
            if right or attempt == ATTEMPTS or 0 < status < 500:
                break
            time.sleep(pause_s)
        print(f"{'ok    ' if right else 'WRONG '} {status:>3} {took_ms:>6.0f} ms  {check.says:<34} {url}")
        if not right:
            wrong.append(f"{check.path}: {status} {json.dumps(body)[:300]}")
    return wrong


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.smoke")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--outputs", help="what terraform output -json printed; - for standard input")
    source.add_argument("--url", help="an address that has all paths")
    chosen = parser.parse_args(arguments)
    if chosen.url:
        starts = {"/" + check.path.lstrip("/").partition("?")[0].partition("/")[0] for check in CHECKS}
        addresses = dict.fromkeys(starts, chosen.url)
    else:
        addresses = outputs.wanted(outputs.read(chosen.outputs), "public_urls")
    wrong = smoke(addresses)
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
