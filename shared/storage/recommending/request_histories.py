"""How much is known about the users who request recommendations."""

from collections.abc import Sequence
from typing import Final

from shared.clients.postgres import read

# Maximum number of latest requests that are counted.
REQUESTS_MAX: Final = 2_000

# The length of each user's history at the time of the answer, counted only up to the start of the last group.
COUNT_BY_LENGTH: Final = """
WITH requests AS (
    SELECT l.at, u.id FROM (SELECT user_id, at FROM recommendation_log WHERE kind = 'recommendations'
                            ORDER BY at DESC LIMIT :requests_max) AS l
    JOIN users u ON u.external_id = l.user_id
), lengths AS (
    SELECT (SELECT count(*) FROM (SELECT FROM events e WHERE e.user_id = requests.id AND e.occurred_at <= requests.at
                                    AND e.product_id IS NOT NULL LIMIT :length_max) AS latest) AS length
    FROM requests
)
SELECT width_bucket(length, cast(:starts AS bigint[])), count(*) FROM lengths WHERE length > 0 GROUP BY 1
"""


def count_by_length(groups_from: Sequence[int]) -> list[int]:
    """Return the numbers of latest personal requests, grouped by the number of events in the user's history.

    The first group begins at 1 event, the others at ``groups_from``. Requests from users without events are left out.
    """
    counts = [0] * (1 + len(groups_from))
    for group, count in read(
        COUNT_BY_LENGTH, requests_max=REQUESTS_MAX, length_max=groups_from[-1], starts=list(groups_from)
    ):
        counts[group] = count
    return counts
