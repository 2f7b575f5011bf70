"""Bring the deployed database's schema up to date: call the migrate job and wait for its answer.

    python -m delivery.migrate --outputs outputs.json
    python -m delivery.migrate --url https://migrate-….run.app

Run it before new code serves: each migration is safe beside the release that runs.
"""

import argparse
import json
import sys
import time

from delivery import http, identity, outputs

DEADLINE_S = 1800
# a service that was created a moment ago may refuse its callers for a while
ATTEMPTS = 6
PAUSE_S = 10.0
TRY_AGAIN = (401, 403, 404, 409, 429, 502, 503)


def migrate(url: str, token: str, pause_s: float = PAUSE_S) -> dict[str, object]:
    """Return the job's answer. Raises RuntimeError with the job's problem, or the reason why it cannot be reached."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = http.post(url, {}, headers=headers, timeout_s=DEADLINE_S)
        except http.NoAnswer as error:
            reason = str(error)
        else:
            if answer.status < 300:
                result: dict[str, object] = answer.json()
                return result
            reason = f"{answer.status}: {answer.text(1000)}"
            if answer.status not in TRY_AGAIN:
                raise RuntimeError(reason)
        if attempt < ATTEMPTS:
            print(f"No success yet ({reason}); trying again in {pause_s:g} s", file=sys.stderr)
            time.sleep(pause_s)
    raise RuntimeError(reason)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.migrate")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--outputs", help="a file with the output of terraform output -json; - reads standard input")
    source.add_argument("--url", help="the migrate job's URL")
    parser.add_argument("--without-token", action="store_true", help="send no identity token, for a local system")
    chosen = parser.parse_args(arguments)
    url = chosen.url or outputs.required(outputs.read(chosen.outputs), "urls")["migrate"]
    try:
        answer = migrate(url, "" if chosen.without_token else identity.token(url))
    except RuntimeError as error:
        print(f"migrate failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
