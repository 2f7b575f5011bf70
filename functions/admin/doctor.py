"""Route of the doctor, which checks the deployment from inside its private network."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import schedules
from functions.admin.answering import private
from functions.admin.schemas.doctor import DoctorReport
from shared.doctor import Finding, run_checks
from shared.errors import AppError
from shared.http.credentials import requires
from shared.manifest import manifest

router = APIRouter(prefix="/doctor", tags=["doctor"])


def check_schedules() -> Finding:
    """Compare Cloud Scheduler's jobs with functions.yaml."""
    if not schedules.managed_by_cloud_scheduler():
        return Finding("schedules", "skipped", "Cloud Scheduler does not run the jobs here.")
    try:
        deployed = schedules.list_schedules()
    except AppError as error:
        return Finding("schedules", "failed", error.detail)
    expected = {entry.name for entry in manifest().of_kind("job") if entry.schedule}
    missing = sorted(expected - set(deployed))
    inactive = sorted(name for name in expected & set(deployed) if deployed[name].state != "enabled")
    failing = sorted(name for name in expected & set(deployed) if deployed[name].last_attempt_failed)
    if missing:
        return Finding("schedules", "failed", f"Not deployed: {', '.join(missing)}. Run terraform apply.")
    if inactive or failing:
        parts = {"paused": inactive, "last attempt failed": failing}
        detail = "; ".join(f"{name}: {', '.join(jobs)}" for name, jobs in parts.items() if jobs)
        return Finding("schedules", "warning", detail)
    return Finding("schedules", "well", f"All {len(expected)} are enabled.")


@router.get("", dependencies=[requires("dashboard:read")], response_model=DoctorReport)
def get_doctor_report(request: Request) -> Response:
    """Check settings, database, migrations, model, Redis, topics, outbox, jobs and schedules. Changes nothing."""
    results = [*run_checks(), check_schedules()]
    healthy = all(finding.verdict != "failed" for finding in results)
    return private(request, {"healthy": healthy, "findings": [finding._asdict() for finding in results]})
