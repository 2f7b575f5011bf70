"""How a shop has changed since its active model version was published.

A version stores a profile of the shop's newest days, and the change that is ordinary in that shop from one such period
to the next. The next run compares its own profile with that. docs/decisions/0035-warm-start.md gives the reasons for
the thresholds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Final

import numpy as np

from jobs.data.history import History
from jobs.models.arrays import BoolArray, Float64Array
from jobs.offline.baselines import count_users
from jobs.offline.split import RELEVANT_WEIGHT
from shared.domain.events import EVENT_WEIGHTS

# The key of ``models.metrics`` that holds the version's profile.
PROFILE_KEY: Final = "history"
# Days of a profile: a week, so that every profile has the same days of the week.
PROFILE_DAYS: Final = 7
# Products that count as the most popular ones.
POPULAR: Final = 20
# The groups of history lengths: each begins at one of these numbers of events.
LENGTHS_FROM: Final = (1, 2, 3, 5, 20, 100)
# A period with fewer events than this is too short to tell drift from noise.
EVENTS_MIN: Final = 200
# Drift is a fall in NDCG@20 by more than this share of what it was and by more than ERRORS_MIN standard errors.
FALL_MIN: Final = 0.1
ERRORS_MIN: Final = 3.0
# Drift is at least this share of new events on products that the version does not know.
UNKNOWN_MIN: Final = 0.2
# Drift is a change of at least this much in the shares of event types or of history lengths; 1 is the greatest change.
CHANGE_MIN: Final = 0.2
# Drift is an overlap of the most popular products below this.
OVERLAP_MIN: Final = 0.5
# A change must also be this many times as great as is ordinary in the shop.
TIMES_ORDINARY: Final = 2.0


def _names_by_weight() -> dict[float, str]:
    """Return the name of the first event type of each weight: a history stores only weights."""
    names: dict[float, str] = {}
    for event_type, weight in EVENT_WEIGHTS.items():
        names.setdefault(weight, event_type.value)
    return names


NAMES_BY_WEIGHT: Final = _names_by_weight()


@dataclass(frozen=True)
class Period:
    """Statistics of a shop's events over a few days.

    events : number of events.
    event_types : the share of each event type.
    popular : ids of the most popular products, best first.
    lengths : of the users with events in the period, the share in each group of LENGTHS_FROM, by their number of events
        up to its end.
    """

    events: int
    event_types: Mapping[str, float]
    popular: Sequence[int]
    lengths: Sequence[float]


@dataclass(frozen=True)
class Changes:
    """The differences between two periods: the shares that changed, and the share of popular products in both."""

    event_types: float
    lengths: float
    popular_overlap: float


@dataclass(frozen=True)
class Profile:
    """The newest period of a shop.

    until : the time of the shop's newest event.
    period : the PROFILE_DAYS days up to then.
    ordinary : the changes from the period before to this one; None if either has too few events.
    """

    until: np.datetime64
    period: Period
    ordinary: Changes | None

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` stores."""
        return {
            "until": str(self.until),
            "days": PROFILE_DAYS,
            "events": self.period.events,
            "event_types": dict(self.period.event_types),
            "popular": list(self.period.popular),
            "lengths": list(self.period.lengths),
            "ordinary": None
            if self.ordinary is None
            else {
                "event_types": self.ordinary.event_types,
                "lengths": self.ordinary.lengths,
                "popular_overlap": self.ordinary.popular_overlap,
            },
        }

    @classmethod
    def from_json(cls, stored: Any) -> "Profile | None":
        """Return the profile that a version stores; None if it stores none that this release can read."""
        try:
            if stored["days"] != PROFILE_DAYS or len(stored["lengths"]) != len(LENGTHS_FROM):
                return None
            period = Period(
                int(stored["events"]),
                {str(name): _share(value) for name, value in stored["event_types"].items()},
                [int(product) for product in stored["popular"]],
                [_share(value) for value in stored["lengths"]],
            )
            ordinary = stored["ordinary"] and Changes(
                *(_share(stored["ordinary"][name]) for name in ("event_types", "lengths", "popular_overlap"))
            )
            until = np.datetime64(str(stored["until"]), "us")
        except (AttributeError, KeyError, TypeError, ValueError):
            return None
        return None if np.isnat(until) else cls(until, period, ordinary or None)


def _share(value: Any) -> float:
    """Return the value as a float. Raises ValueError or TypeError unless it is a number in [0, 1]."""
    number = float(value)
    if not isfinite(number) or not 0 <= number <= 1:
        raise ValueError(f"{value!r} is not a share")
    return number


def profile_of(history: History) -> Profile:
    """Return the profile of a history with at least one event."""
    until, days = history.times.max(), np.timedelta64(PROFILE_DAYS, "D")
    newest = describe(history, until - days, until)
    before = describe(history, until - 2 * days, until - days)
    ordinary = compare(before, newest) if min(newest.events, before.events) >= EVENTS_MIN else None
    return Profile(until, newest, ordinary)


def describe(history: History, after: np.datetime64, until: np.datetime64) -> Period:
    """Return the period after ``after`` and up to ``until``, inclusive."""
    is_inside = (history.times > after) & (history.times <= until)
    lengths = np.bincount(history.users[history.times <= until], minlength=len(history.user_ids))
    present = np.bincount(history.users[is_inside], minlength=len(history.user_ids)) > 0
    groups = np.searchsorted(LENGTHS_FROM, lengths[present], side="right") - 1
    weights = history.weights[is_inside]
    return Period(
        int(is_inside.sum()),
        {
            name: round(float(np.mean(weights == np.float32(weight))), 5)
            for weight, name in sorted(NAMES_BY_WEIGHT.items())
            if (weights == np.float32(weight)).any()
        },
        _popular(history, is_inside),
        _shares(np.bincount(groups, minlength=len(LENGTHS_FROM)).astype(np.float64)),
    )


def _popular(history: History, is_inside: BoolArray) -> list[int]:
    """Return the ids of the products that most users bought or added to the cart, or met if no product was either."""
    is_relevant = is_inside & (history.weights >= RELEVANT_WEIGHT)
    counted = is_relevant if is_relevant.any() else is_inside
    counts = count_users(history.users[counted], history.items[counted], len(history.product_ids))
    order = np.argsort(-counts, kind="stable")[:POPULAR]
    popular: list[int] = history.product_ids[order[counts[order] > 0]].tolist()
    return popular


def _shares(counts: Float64Array) -> list[float]:
    total = float(counts.sum()) or 1.0
    return [round(float(count) / total, 5) for count in counts]


def compare(before: Period, after: Period) -> Changes:
    """Return the changes from one period to another."""
    types = {*before.event_types, *after.event_types}
    return Changes(
        round(sum(abs(after.event_types.get(name, 0.0) - before.event_types.get(name, 0.0)) for name in types) / 2, 5),
        round(sum(abs(new - old) for new, old in zip(after.lengths, before.lengths, strict=True)) / 2, 5),
        round(len({*before.popular} & {*after.popular}) / max(1, min(len(before.popular), len(after.popular))), 5),
    )


@dataclass(frozen=True)
class Fall:
    """NDCG@20 of one model when the version was chosen and on the newest days, each with its standard error.

    A fall is positive if ``then`` is above ``now``.
    """

    then: float
    then_error: float
    now: float
    now_error: float

    def is_drift(self) -> bool:
        """Return whether quality has fallen by more than FALL_MIN and by more than noise would explain."""
        fall, error = self.then - self.now, float(np.hypot(self.then_error, self.now_error))
        return fall > FALL_MIN * self.then and fall > ERRORS_MIN * error

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store."""
        return {
            "then": round(self.then, 5),
            "then_standard_error": round(self.then_error, 5),
            "now": round(self.now, 5),
            "now_standard_error": round(self.now_error, 5),
        }


@dataclass(frozen=True)
class Drift:
    """How a shop has changed since a version was published.

    Attributes
    ----------
    new_events : number of events after the last one that the version learned from; None if the version does not store
        that time.
    unknown_share : the share of them on products that the version does not know; None if there are no new events.
    changes : from the version's period to the newest one; None if the version stores none, or if either has too few
        events.
    ordinary : the changes that are ordinary in the shop; None if unknown.
    fall : the fall in quality of the version's parameters; None if it was not measured.
    """

    version: int
    new_events: int | None = None
    unknown_share: float | None = None
    changes: Changes | None = None
    ordinary: Changes | None = None
    fall: Fall | None = None

    def reasons(self) -> list[str]:
        """Return what has drifted, in words; empty if nothing has."""
        reasons = []
        if self.fall is not None and self.fall.is_drift():
            reasons.append(f"NDCG@20 of its parameters fell from {self.fall.then:.4f} to {self.fall.now:.4f}")
        if (self.new_events or 0) >= EVENTS_MIN and (self.unknown_share or 0.0) >= UNKNOWN_MIN:
            reasons.append(f"{self.unknown_share:.0%} of new events are on products that it does not know")
        if self.changes is not None:
            ordinary = self.ordinary or Changes(0.0, 0.0, 1.0)
            for change, usual, subject in (
                (self.changes.event_types, ordinary.event_types, "event types"),
                (self.changes.lengths, ordinary.lengths, "history lengths"),
            ):
                if change >= max(CHANGE_MIN, TIMES_ORDINARY * usual):
                    reasons.append(f"the mixture of {subject} changed by {change:.0%}")
            if self.changes.popular_overlap < min(OVERLAP_MIN, ordinary.popular_overlap / TIMES_ORDINARY):
                reasons.append(f"only {self.changes.popular_overlap:.0%} of the most popular products are the same")
        return reasons

    def as_json(self) -> dict[str, Any]:
        """Return the JSON object that ``models`` and ``training_runs`` store."""
        reasons = self.reasons()

        def change(name: str) -> dict[str, Any] | None:
            if self.changes is None:
                return None
            ordinary = None if self.ordinary is None else getattr(self.ordinary, name)
            return {"since": getattr(self.changes, name), "ordinary": ordinary}

        return {
            "since_version": self.version,
            "drifted": bool(reasons),
            "reasons": reasons,
            "ndcg@20": None if self.fall is None else self.fall.as_json(),
            "new_events": self.new_events,
            "unknown_products_share": self.unknown_share,
            "event_types_change": change("event_types"),
            "history_lengths_change": change("lengths"),
            "popular_overlap": change("popular_overlap"),
        }


def measure_drift(version: int, then: Profile | None, now: Profile, history: History) -> Drift:
    """Return how the shop has changed since the version's profile, apart from quality.

    then : the version's profile, if it stores one.  now : the profile of ``history``.
    """
    if then is None:
        return Drift(version)
    is_new = history.times > then.until
    known = np.bincount(history.items[~is_new], minlength=len(history.product_ids)) > 0
    unknown_share = round(float(np.mean(~known[history.items[is_new]])), 5) if is_new.any() else None
    has_enough = min(then.period.events, now.period.events) >= EVENTS_MIN
    changes = compare(then.period, now.period) if has_enough else None
    return Drift(version, int(is_new.sum()), unknown_share, changes, then.ordinary)
