"""Back the deployed database up before a delivery that migrates it.

    python3 -m delivery.backup --outputs build/outputs.json

Asks the migrate job what is pending; without a pending migration there is no backup. Waits until the backup is
complete. Point-in-time recovery would do as well, for a week; this backup is kept until somebody deletes it, and its
description names the first migration that follows.
"""

import argparse
import os
import sys
import time
from typing import Any, Final

from delivery import http, identity, outputs, private_jobs

# the variable is gcloud's own
API = os.environ.get("CLOUDSDK_API_ENDPOINT_OVERRIDES_SQL", "https://sqladmin.googleapis.com/").rstrip("/")
DEADLINE_S: Final = 1800.0
PAUSE_S = 5.0


def back_up(connection_name: str, description: str, token: str) -> None:
    """Create a backup and wait for it. ``connection_name`` is project:region:instance. Raises RuntimeError."""
    project, _region, instance = connection_name.split(":")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{API}/v1/projects/{project}/instances/{instance}/backupRuns"
    operation = _answer(http.post(url, {"description": description}, headers=headers, timeout_s=60))
    deadline = time.monotonic() + DEADLINE_S
    while operation.get("status") != "DONE":
        if time.monotonic() > deadline:
            raise RuntimeError(f"the backup has not ended after {DEADLINE_S:g} s: operation {operation.get('name')}")
        time.sleep(PAUSE_S)
        url = f"{API}/v1/projects/{project}/operations/{operation['name']}"
        operation = _answer(http.get(url, headers=headers, timeout_s=60))
    if errors := operation.get("error", {}).get("errors"):
        raise RuntimeError(f"the backup failed: {errors}")


def _answer(answer: http.Answer) -> dict[str, Any]:
    if answer.status != 200:
        raise RuntimeError(f"Cloud SQL answers {answer.status}: {answer.text(500)}")
    document: dict[str, Any] = answer.json()
    return document


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python3 -m delivery.backup")
    parser.add_argument("--outputs", required=True, help="a file with the output of terraform output -json")
    chosen = parser.parse_args(arguments)
    deployed = outputs.read(chosen.outputs)
    url = outputs.required(deployed, "urls")["migrate"]
    try:
        pending = private_jobs.call(url, identity.token(url), {"dry_run": True})["pending"]
        if not pending:
            print("No migration is pending, so no backup is made.")
            return 0
        print(f"Backing up before {', '.join(pending)}")
        back_up(
            outputs.required(deployed, "database")["instance"],
            f"before migration {pending[0]}",
            identity.access_token(),
        )
    except (RuntimeError, http.NoAnswer) as error:
        print(f"No backup: {error}", file=sys.stderr)
        return 1
    print("The backup is complete.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
