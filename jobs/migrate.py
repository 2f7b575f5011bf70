"""Job, on demand: migrate the database schema before new code is rolled out."""

from typing import Any

from shared.errors import InvalidRequest
from shared.job import Parameters, job, progress
from shared.settings import settings
from shared.storage.schema import database_roles, migrations


class Migrate(Parameters):
    """``dry_run``: say what is pending, and apply nothing."""

    dry_run: bool = False


@job
def migrate(parameters: Migrate) -> dict[str, Any]:
    """Apply the pending migrations in order; safe to repeat and to run concurrently.

    If DATABASE_OWNERS is set, functions and jobs log in as users of their own, whose roles are created and granted
    first. Returns the migrations applied, or those pending. Raises InvalidRequest if one of these users does not exist.
    """
    owners, jobs, writers = settings().database_owners, settings().database_jobs, settings().database_writers
    if owners:
        try:
            database_roles.prepare(owners, jobs, writers)
        except ValueError as error:
            raise InvalidRequest(f"{error} Run terraform apply first: it creates the user.") from None
    if parameters.dry_run:
        return {"pending": migrations.pending(database_roles.OWNER if owners else None)}
    if not owners:
        return {"applied": migrations.migrate(progress)}
    applied = migrations.migrate(progress, role=database_roles.OWNER)
    database_roles.grant()
    return {"applied": applied, "owners": len(owners), "jobs": len(jobs), "writers": len(writers)}
