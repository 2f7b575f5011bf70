"""The doctor, where the deployment is: it sees the private network, which nobody outside does."""

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import schedules, schemas
from shared.auth import requires
from shared.doctor import Finding, run_checks
from shared.errors import AppError
from shared.http import fresh
from shared.manifest import manifest

# included in the admin router
router = APIRouter(prefix="/doctor")


def scheduled() -> Finding:
    """Compare Cloud Scheduler's jobs with functions.yaml."""
    if not schedules.here():
        return Finding("schedules", "skipped", "jobs are not run by Cloud Scheduler here")
    try:
        found = schedules.listed()
    except AppError as error:
        return Finding("schedules", "failed", error.detail)
    wanted = {entry.name for entry in manifest().of_kind("job") if entry.schedule}
    missing = sorted(wanted - set(found))
    off = sorted(name for name in wanted & set(found) if found[name].state != "enabled")
    failing = sorted(name for name in wanted & set(found) if found[name].last_attempt_failed)
    if missing:
        return Finding("schedules", "failed", f"Not deployed: {', '.join(missing)}. terraform apply makes them.")
    if off or failing:
        parts = {"paused": off, "last attempt failed": failing}
        detail = "; ".join(f"{name}: {', '.join(jobs)}" for name, jobs in parts.items() if jobs)
        return Finding("schedules", "warning", detail)
    return Finding("schedules", "well", f"all {len(wanted)} enabled")


@router.get("", dependencies=[requires("dashboard:read")], response_model=schemas.Examination)
def get_doctor(request: Request) -> Response:
    """Check settings, database, migrations, model, Redis, topics, outbox, jobs and schedules. Changes nothing."""
    found = [*run_checks(), scheduled()]
    body = {"healthy": all(one.verdict != "failed" for one in found), "findings": [one._asdict() for one in found]}
    return fresh(request, orjson.dumps(body), max_age_s=0, public=False)
