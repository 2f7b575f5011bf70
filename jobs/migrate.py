"""Job, on demand: bring the database's schema up to date before new code is rolled out."""

from typing import Any

from shared.job import Parameters, job, progress
from shared.storage import migrations


class Migrate(Parameters):
    """Nothing to choose."""


@job
def migrate(_parameters: Migrate) -> dict[str, Any]:
    """Apply the pending migrations in order; safe to run again, and twice at once."""
    return {"applied": migrations.migrate(progress)}
