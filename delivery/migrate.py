"""Bring the deployed database's schema up to date: call the migrate job and wait for its answer.

    python -m delivery.migrate --outputs outputs.json
    python -m delivery.migrate --url https://migrate-….run.app

Before new code serves: each migration is safe beside the release that runs.
"""

import argparse
import json
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from delivery import identity, outputs

DEADLINE_S = 1800
# a service that was made a moment ago does not know its callers yet
ATTEMPTS = 6
PAUSE_S = 10.0
AGAIN = (401, 403, 404, 409, 429, 502, 503)


def migrate(url: str, token: str, pause_s: float = PAUSE_S) -> dict[str, object]:
    """Return the job's answer. Raises RuntimeError with its problem when it failed."""
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with urlopen(Request(url, b"{}", headers, method="POST"), timeout=DEADLINE_S) as answer:
                found: dict[str, object] = json.load(answer)
                return found
        except HTTPError as error:
            reason = f"{error.code}: {error.read().decode(errors='replace')[:1000]}"
            if error.code not in AGAIN:
                raise RuntimeError(reason) from None
        except (URLError, TimeoutError, OSError) as error:
            reason = str(error)
        if attempt < ATTEMPTS:
            print(f"not yet ({reason}); again in {pause_s:g} s", file=sys.stderr)
            time.sleep(pause_s)
    raise RuntimeError(reason)


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m delivery.migrate")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--outputs", help="what terraform output -json printed; - for standard input")
    source.add_argument("--url", help="the migrate job's URL")
    parser.add_argument("--without-token", action="store_true", help="for a job that asks for none: a local one")
    chosen = parser.parse_args(arguments)
    url = chosen.url or outputs.wanted(outputs.read(chosen.outputs), "urls")["migrate"]
    try:
        answer = migrate(url, "" if chosen.without_token else identity.token(url))
    except RuntimeError as error:
        print(f"migrate failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
