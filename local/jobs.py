"""Running jobs of the running system by their URL, as Cloud Scheduler does."""

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

from local.errors import CommandError
from shared.manifest import Manifest

# after a first load, in this order: what is built on what; the others are for the clock only
# nobody waits ten minutes for a first look: similarity tunes with its whole budget on its schedule
FIRST: dict[str, dict[str, Any]] = {
    "trending": {},
    "popular": {},
    "similarity": {"time_budget_s": 20},
    "bought_together": {},
    "daily_stats": {},
}


def first_jobs(deployed: Manifest) -> dict[str, dict[str, Any]]:
    """Return the jobs that make a freshly loaded shop complete, with their parameters."""
    known = {entry.name for entry in deployed.of_kind("job")}
    return {name: parameters for name, parameters in FIRST.items() if name in known}


def run(url: str, name: str, parameters: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Run a job and return its status and answer. Raises CommandError when nothing answers at ``url``."""
    parts = urlsplit(url)
    # no time-out: how long a job may take is its own affair
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port)
    try:
        body = json.dumps(parameters).encode()
        connection.request("POST", f"{parts.path}/{name}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"Job {name}: no answer from {url} ({error}); see ./aisle status.") from None
    finally:
        connection.close()
    try:
        found = json.loads(content)
    except ValueError:
        found = {"detail": content.decode(errors="replace")[:2000]}
    return answer.status, found if isinstance(found, dict) else {"answer": found}


def get(url: str, timeout_s: float = 10) -> tuple[int, Any]:
    """Return status and JSON of a GET; status 0 when nothing answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError):
        return 0, None
    finally:
        connection.close()
