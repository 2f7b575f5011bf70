"""Precomputes answers for the most active users after a new model version (docs/decisions/0078-answers-ahead.md)."""

import logging
from time import monotonic, sleep
from typing import Any, Final

from shared.errors import AppError
from shared.personal_answers import recommend
from shared.selection import UnreadableRequest, request_of
from shared.settings import settings
from shared.storage.answers import answers_ahead
from shared.storage.answers.answers_ahead import Outdated
from shared.storage.recommending.attribution import latest_users

log = logging.getLogger(__name__)

# Users looked up in Redis at once. Not all of them have a stored answer to recompute.
PAGE: Final = 100
READ_USERS_FACTOR: Final = 10
# After each answer the connection pauses for as long as the answer took, so that it is busy at most half of the time.
REST: Final = 1.0
# If an answer takes longer than this many seconds, Postgres is too busy for answers that nobody has requested yet.
SLOW_S: Final = 1.0


def compute_ahead() -> dict[str, Any]:
    """Recompute the outdated answers of the most active users; return the numbers of users and of answers.

    Limited to ANSWERS_AHEAD_USERS users and ANSWERS_AHEAD_S seconds. Never raises; requests compute what is missing.
    """
    done: dict[str, Any] = {"users": 0, "answers": 0}
    try:
        _compute(done)
    except Exception as error:  # noqa: BLE001 — the model is published, and whatever fails here may not undo that
        log.warning("answers not computed ahead", extra={"error": f"{type(error).__name__}: {error}"[:500]})
        done["ended"] = "failed"
    return done


def _compute(done: dict[str, Any]) -> None:
    max_users = settings().answers_ahead_users
    if max_users == 0:
        return
    deadline = monotonic() + settings().answers_ahead_s
    users = latest_users(settings().recommendation_ttl_s, READ_USERS_FACTOR * max_users)
    for begin in range(0, len(users), PAGE):
        if monotonic() >= deadline:
            done["ended"] = "out of time"
            return
        for outdated in answers_ahead.find_outdated(users[begin : begin + PAGE]):
            if done["users"] == max_users:
                return
            is_counted = False
            for query, request in outdated.requests.items():
                began = monotonic()
                if began >= deadline:
                    done["ended"] = "out of time"
                    return
                if _compute_one(outdated, query, request):
                    done["answers"] += 1
                    done["users"] += not is_counted
                    is_counted = True
                took = monotonic() - began
                if took > SLOW_S:
                    done["ended"] = "the database is busy"
                    return
                sleep(REST * took)


def _compute_one(outdated: Outdated, query: bytes, request: bytes) -> bool:
    """Compute and store one answer; False if the user has acted in the meantime or the request is no longer valid."""
    # Checked before anything is logged, because the user may have been erased.
    if not answers_ahead.is_current(outdated):
        return False
    try:
        body = recommend(request_of(request))
    except UnreadableRequest:
        return False
    except AppError as error:
        if error.status >= 500:
            raise
        # A category or product no longer exists.
        return False
    return answers_ahead.store(outdated, query, request, body)
