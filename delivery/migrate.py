"""Bring the deployed database's schema up to date: call the migrate job and wait for its answer.

    python -m delivery.migrate --outputs outputs.json
    python -m delivery.migrate --url https://migrate-….run.app

Run it before new code serves: each migration is safe beside the release that runs.
"""

import argparse
import json
import sys

from delivery import identity, outputs, private_jobs


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
        answer = private_jobs.call(url, "" if chosen.without_token else identity.token(url), {})
    except RuntimeError as error:
        print(f"migrate failed: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
