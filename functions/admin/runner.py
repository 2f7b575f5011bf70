"""Running a job by its URL, as Cloud Scheduler does. For the local system, which has no Cloud Scheduler."""

from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import orjson

from shared.errors import Unavailable
from shared.logs import current_traceparent
from shared.settings import settings

CONNECT_TIMEOUT_S: Final = 5.0
# Seconds to wait for the result, below the 120 s of the admin function itself. A longer run continues.
WAIT_S: Final = 100.0


def jobs_url() -> str:
    """Return the URL under which jobs run by name. Raises Unavailable where there is none."""
    url = settings().jobs_url
    if url is None:
        raise Unavailable("Jobs cannot be started here: set JOBS_URL.", retry_after_s=60)
    return url


class JobAnswer(NamedTuple):
    """What a job answered: the HTTP status, the JSON body, and the header Retry-After, None without one."""

    status: int
    body: dict[str, Any]
    retry_after: str | None


def run(url: str, name: str, parameters: bytes) -> JobAnswer | None:
    """Run a job and return its answer; None if it is still running after WAIT_S.

    Raises Unavailable when nothing answers at ``url``, MissingSetting without JOBS_TOKEN.
    """
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = connect(parts.hostname or "127.0.0.1", parts.port, timeout=CONNECT_TIMEOUT_S)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {settings().require('jobs_token')}"}
    if traceparent := current_traceparent():
        headers["traceparent"] = traceparent
    try:
        connection.connect()
        assert connection.sock is not None
        connection.sock.settimeout(WAIT_S)
        connection.request("POST", f"{parts.path.rstrip('/')}/{name}", parameters, headers)
        answer = connection.getresponse()
        body = orjson.loads(answer.read())
    except TimeoutError:
        if connection.sock is None:
            raise Unavailable(f"Nothing answers at {url}.") from None
        return None
    except (OSError, HTTPException, orjson.JSONDecodeError) as error:
        raise Unavailable(f"No answer from {url}: {error}.") from None
    finally:
        connection.close()
    return JobAnswer(
        answer.status, body if isinstance(body, dict) else {"answer": body}, answer.getheader("Retry-After")
    )
