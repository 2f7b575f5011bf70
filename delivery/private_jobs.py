"""Calling a private job of a deployment, and waiting for its answer."""

import sys
import time
from typing import Any

from delivery import http

DEADLINE_S = 1800
# a service that was created a moment ago may refuse its callers for a while
ATTEMPTS = 6
PAUSE_S = 10.0
TRY_AGAIN = (401, 403, 404, 409, 429, 502, 503)


def call(url: str, token: str, parameters: dict[str, Any], pause_s: float = PAUSE_S) -> dict[str, Any]:
    """Return the job's answer. Raises RuntimeError with the job's problem, or the reason why it cannot be reached.

    ``token`` is an identity token, or empty. The job must be safe to repeat.
    """
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = http.post(url, parameters, headers=headers, timeout_s=DEADLINE_S)
        except http.NoAnswer as error:
            reason = str(error)
        else:
            if answer.status < 300:
                result: dict[str, Any] = answer.json()
                return result
            reason = f"{answer.status}: {answer.text(1000)}"
            if answer.status not in TRY_AGAIN:
                raise RuntimeError(reason)
        if attempt < ATTEMPTS:
            print(f"No success yet ({reason}); trying again in {pause_s:g} s", file=sys.stderr)
            time.sleep(pause_s)
    raise RuntimeError(reason)
