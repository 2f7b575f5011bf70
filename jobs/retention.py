"""Job, daily: delete expired data, create the partitions of the coming months, and make old texts canonical."""

from typing import Any, Final

from shared.job import Parameters, job
from shared.settings import settings
from shared.storage.catalog import canonical_texts
from shared.storage.operations.retention import RULES, delete_expired, drop_expired_partitions, ensure_partitions
from shared.storage.people import canonical_emails
from shared.storage.people.erasure import erase_returned
from shared.storage.people.idle_users import delete_idle

MONTHS_AHEAD: Final = 3


class Retention(Parameters):
    """No parameters: EVENT_RETENTION_MONTHS is a setting."""


@job
def retention(_parameters: Retention) -> dict[str, Any]:
    """Create partitions ahead, drop the partitions of expired months, and delete other expired rows in batches.

    Idle users without any data are deleted (shared/storage/people/idle_users.py). Users who were erased while one of
    their events was being stored are erased again. Texts and emails that an earlier release wrote are converted to
    their canonical form. Returns what was created, deleted and changed.
    """
    months = settings().event_retention_months
    created = ensure_partitions(MONTHS_AHEAD)
    dropped = drop_expired_partitions(months)
    deleted = {rule.table: delete_expired(rule, months) for rule in RULES}
    return {
        "partitions_made": created,
        "partitions_dropped": dropped,
        "rows_deleted": deleted,
        "idle_users_deleted": delete_idle(months),
        "erased_again": erase_returned(),
        "texts_made_canonical": canonical_texts.make_canonical()._asdict(),
        "emails_made_canonical": canonical_emails.make_canonical(),
    }
