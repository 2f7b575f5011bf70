"""A few sample customers with ids of the shop's own and a history short enough to read at a glance."""

from typing import Final, NamedTuple

from shared.clients.postgres import read
from shared.domain.identity import ACCOUNT_PREFIX, GUEST_PREFIX

SAMPLE_SIZE: Final = 12
MIN_EVENTS: Final = 5
MAX_EVENTS: Final = 60
# Number of user rows examined, oldest first, so that the cost does not grow with the shop.
EXAMINED: Final = 150

SAMPLE: Final = """
SELECT u.external_id, history.events
FROM (
    SELECT id, external_id FROM users
    WHERE NOT starts_with(external_id, :account_prefix) AND NOT starts_with(external_id, :guest_prefix)
    ORDER BY id LIMIT :examined
) u
CROSS JOIN LATERAL (
    SELECT count(*) AS events FROM (SELECT FROM events e WHERE e.user_id = u.id LIMIT :max_events + 1) counted
) history
WHERE history.events BETWEEN :min_events AND :max_events
ORDER BY u.id LIMIT :size
"""


class SampleCustomer(NamedTuple):
    """The shop's id of a customer, and the number of their events."""

    id: str
    events: int


def read_sample() -> list[SampleCustomer]:
    """Return at most SAMPLE_SIZE customers with MIN_EVENTS to MAX_EVENTS events, the oldest first.

    Accounts and guests of Aisle's own are left out, because their ids are credentials or require one.
    """
    rows = read(
        SAMPLE,
        account_prefix=ACCOUNT_PREFIX,
        guest_prefix=GUEST_PREFIX,
        examined=EXAMINED,
        min_events=MIN_EVENTS,
        max_events=MAX_EVENTS,
        size=SAMPLE_SIZE,
    )
    return [SampleCustomer(row[0], int(row[1])) for row in rows]
