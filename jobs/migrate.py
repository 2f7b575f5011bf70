"""Job, on demand: bring the database's schema up to date before new code is rolled out."""

from typing import Any

from shared.errors import InvalidRequest
from shared.job import Parameters, job, progress
from shared.settings import settings
from shared.storage.schema import database_roles, migrations


class Migrate(Parameters):
    """Nothing to choose."""


@job
def migrate(_parameters: Migrate) -> dict[str, Any]:
    """Apply the pending migrations in order; safe to run again, and twice at once.

    Where functions log in as users of their own, their roles are made and given first.
    """
    owners, writers = settings().database_owners, settings().database_writers
    if not owners:
        return {"applied": migrations.migrate(progress)}
    try:
        database_roles.prepare(owners, writers)
    except ValueError as error:
        raise InvalidRequest(f"{error} terraform apply makes it; run that first.") from None
    applied = migrations.migrate(progress, role=database_roles.OWNER)
    database_roles.grant()
    return {"applied": applied, "owners": len(owners), "writers": len(writers)}
