"""./aisle doctor: check a deployment, through its admin function or from this process."""

import os
from collections.abc import Sequence
from typing import Any

from delivery import http
from local.errors import CommandError, Refused

SIGNS = {"well": "  well   ", "warning": "? warning", "failed": "! FAILED ", "skipped": "  skipped"}
DEADLINE_S = 60


def doctor(arguments: Sequence[str]) -> int:
    """Print each finding; return 1 when a check failed.

    ``doctor URL`` calls the admin function there, with ADMIN_TOKEN. Without a URL this process checks with the settings
    of the environment if they name a database, otherwise with those of the running local system.
    """
    if len(arguments) > 1:
        raise Refused("doctor takes at most one argument, the shop's address. See ./aisle help.")
    findings = remote_findings(arguments[0]) if arguments else own_findings()
    for finding in findings:
        print(f"{SIGNS.get(finding['verdict'], finding['verdict'])}  {finding['check']:<11} {finding['detail']}")
    return int(any(finding["verdict"] == "failed" for finding in findings))


def remote_findings(url: str) -> list[dict[str, Any]]:
    """Return the findings of the admin function at ``url``. Raises Refused or CommandError."""
    if not url.startswith(("https://", "http://")):
        raise Refused(
            f"{url!r} is not a URL. Give the shop's address, as in https://shop.example.com: Terraform's output url."
        )
    token = os.environ.get("ADMIN_TOKEN", "")
    if not token:
        raise Refused(
            "Set ADMIN_TOKEN to the deployment's admin token. It is in Secret Manager "
            "(docs/runbooks/first-deployment.md); ./aisle env prints that of the local system."
        )
    try:
        answer = http.get(
            f"{url.rstrip('/')}/admin/doctor", headers={"Authorization": f"Bearer {token}"}, timeout_s=DEADLINE_S
        )
    except http.NoAnswer as error:
        raise CommandError(f"{url} does not answer: {error}. Check the URL and your network.") from None
    if answer.status >= 300:
        raise CommandError(f"{url} answers {answer.status}: {answer.text(300)}")
    try:
        findings: list[dict[str, Any]] = answer.json()["findings"]
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{url} is not Aisle's admin function: its answer holds no findings.") from None
    return findings


def own_findings() -> list[dict[str, Any]]:
    """Return the findings of this process."""
    if not (os.environ.get("CLOUD_SQL_INSTANCE") or os.environ.get("DATABASE_URL")):
        from local.commands import running

        os.environ.update(running()["environment"])
    from shared.clients import reset
    from shared.doctor import run_checks

    try:
        return [finding._asdict() for finding in run_checks()]
    finally:
        reset()
