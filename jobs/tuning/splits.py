"""Splits of a shop's own history: the days that are held out to choose its model on."""

from typing import Final

from jobs.data.history import DAY, History
from jobs.offline.split import NothingToMeasure, Split, leave_last_out, split_last_days
from jobs.tuning.plan import FOLDS_LIMIT

# This many held-out users suffice to compare models; the shortest horizon with as many is used.
ENOUGH_USERS: Final = 500
HOLDOUT_DAYS: Final = (7.0, 14.0, 30.0, 60.0)
# The history must be at least this many times as long as the held-out days.
HOLDOUTS_IN_HISTORY: Final = 3
# One month is not like the next, so the history is also cut earlier: twice where it is long enough, and more often
# until the folds have USERS_IN_ALL held-out users.
FOLDS_MIN: Final = 2
FOLDS_MAX: Final = 4
USERS_IN_ALL: Final = 1_500
# The least share of the history before the earliest cut, for a second fold and for further ones.
SECOND_FOLD_TRAIN_MIN: Final = 0.33
FURTHER_FOLD_TRAIN_MIN: Final = 0.5


def split_for_tuning(
    history: History,
    *,
    new_only: bool,
    holdout_days: float | None = None,
    leave_last: bool = False,
    users_wanted: int = USERS_IN_ALL,
) -> tuple[list[Split], float | None]:
    """Return the splits to tune on, and their horizon in days (None with ``leave_last``).

    The first split holds out the last days: ``holdout_days`` if given, otherwise the fewest of HOLDOUT_DAYS that have
    ENOUGH_USERS; never more than a third of the history. Earlier cuts with the same horizon follow while enough of the
    history lies before them. ``leave_last`` holds out each user's last relevant event instead, and in a second split
    the one before it. If ``users_wanted`` exceeds USERS_IN_ALL, there may be up to FOLDS_LIMIT cuts.

    Raises NothingToMeasure if there is nothing to hold out.
    """
    if len(history) == 0:
        raise NothingToMeasure("no events")
    if leave_last:
        return _leave_last_splits(history, new_only=new_only), None
    span = float((history.times.max() - history.times.min()) / DAY)
    days_max = max(span / HOLDOUTS_IN_HISTORY, 1e-6)
    first: Split | None = None
    days, error = days_max, NothingToMeasure("no events")
    for horizon in (holdout_days,) if holdout_days else HOLDOUT_DAYS:
        try:
            first = split_last_days(history, min(horizon, days_max), new_only=new_only)
        except NothingToMeasure as problem:
            error = problem
            continue
        days = min(horizon, days_max)
        if len(first.users) >= ENOUGH_USERS or horizon >= days_max:
            break
    if first is None:
        raise error
    splits = [first]
    while len(splits) < (FOLDS_MAX if users_wanted <= USERS_IN_ALL else FOLDS_LIMIT):
        if len(splits) >= FOLDS_MIN and sum(len(split.users) for split in splits) >= users_wanted:
            break
        days_before = span - days * (len(splits) + 1)
        train_min = FURTHER_FOLD_TRAIN_MIN if len(splits) >= FOLDS_MIN else SECOND_FOLD_TRAIN_MIN
        if days_before < train_min * span:
            break
        try:
            splits.append(split_last_days(splits[-1].train, days, new_only=new_only))
        except NothingToMeasure:
            break
    return splits, days


def _leave_last_splits(history: History, *, new_only: bool) -> list[Split]:
    splits = [leave_last_out(history, new_only=new_only)]
    while len(splits) < FOLDS_MIN:
        try:
            splits.append(leave_last_out(splits[-1].train, new_only=new_only))
        except NothingToMeasure:
            break
    return splits
