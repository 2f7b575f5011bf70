"""Job, daily: drop what is past its time, and make the next months' partitions."""

from typing import Any, Final

from shared.job import Parameters, job
from shared.settings import settings
from shared.storage.operations.retention import RULES, delete_expired, drop_expired_partitions, ensure_partitions
from shared.storage.people.erasure import erase_returned

MONTHS_AHEAD: Final = 3


class Retention(Parameters):
    """Nothing to choose: how long events are kept is a setting."""


@job
def retention(_parameters: Retention) -> dict[str, Any]:
    """Make partitions ahead, drop expired months whole, delete the rest in batches; says what went."""
    months = settings().event_retention_months
    made = ensure_partitions(MONTHS_AHEAD)
    dropped = drop_expired_partitions(months)
    deleted = {rule.table: delete_expired(rule, months) for rule in RULES}
    return {
        "partitions_made": made,
        "partitions_dropped": dropped,
        "rows_deleted": deleted,
        "erased_again": erase_returned(),
    }
