"""./aisle doctor: check a deployment. By URL the deployed doctor says what it sees; otherwise this process looks."""

import json
import os
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from local.errors import CommandError, Refused

SIGNS = {"well": "  well   ", "warning": "? warning", "failed": "! FAILED ", "skipped": "  skipped"}
DEADLINE_S = 60


def doctor(arguments: Sequence[str]) -> int:
    """Print each finding; 1 when something failed.

    ``doctor URL`` asks the admin function there, with ADMIN_TOKEN. Without a URL the settings are the environment's
    where it names a database, and otherwise the running local system's.
    """
    if len(arguments) > 1:
        raise Refused("doctor takes the URL of a deployment or nothing. See ./aisle help.")
    found = asked(arguments[0]) if arguments else looked()
    for one in found:
        print(f"{SIGNS.get(one['verdict'], one['verdict'])}  {one['check']:<11} {one['detail']}")
    return int(any(one["verdict"] == "failed" for one in found))


def asked(url: str) -> list[dict[str, Any]]:
    """Return what the deployed doctor sees."""
    if not url.startswith(("https://", "http://")):
        raise Refused(f"{url!r} is not a URL. Give the one of the admin function.")
    token = os.environ.get("ADMIN_TOKEN", "")
    if not token:
        raise Refused("Set ADMIN_TOKEN: the deployment's, from Secret Manager (docs/runbooks/first-deployment.md).")
    request = Request(f"{url.rstrip('/')}/admin/doctor", headers={"Authorization": f"Bearer {token}"})  # noqa: S310 — checked above
    try:
        with urlopen(request, timeout=DEADLINE_S) as answer:  # noqa: S310 — same
            findings: list[dict[str, Any]] = json.load(answer)["findings"]
            return findings
    except HTTPError as error:
        raise CommandError(f"{url} answers {error.code}: {error.read().decode(errors='replace')[:300]}") from None
    except (URLError, OSError, ValueError, KeyError) as error:
        raise CommandError(f"{url} does not answer as the doctor: {error}") from None


def looked() -> list[dict[str, Any]]:
    """Return what this process sees."""
    if not (os.environ.get("CLOUD_SQL_INSTANCE") or os.environ.get("DATABASE_URL")):
        from local.commands import running

        os.environ.update(running()["environment"])
    from shared.clients import reset
    from shared.doctor import run_checks

    try:
        return [one._asdict() for one in run_checks()]
    finally:
        reset()
