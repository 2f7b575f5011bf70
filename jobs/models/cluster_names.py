"""What sets each cluster of users apart, in figures and as a name such as "Recent frequent buyers of Candles"."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from jobs.models.arrays import Float64Array, Int64Array
from jobs.models.clusters import Behaviour

# A category is named if it has at least this share of the members' taste, and this many times its share in all users'.
MIN_SHARE: Final = 0.25
MIN_LIFT: Final = 1.5
# the same thresholds for clusters that would otherwise have the same name
TIE_SHARE: Final = 0.05
TIE_LIFT: Final = 1.1
NAMED_CATEGORIES: Final = 2
# Categories listed in the figures.
LISTED_CATEGORIES: Final = 5
# Buyers are frequent, or high-spending, if they buy, or spend, this many times as much as the median buyer.
FREQUENT: Final = 1.5
HIGH_SPENDING: Final = 2.0


class ClusterProfile(NamedTuple):
    """A cluster's name and figures.

    recency_days : median days since the last event.  purchase_days : mean number of days with a purchase.
    spent : mean sum paid.  buyers : share of the members who bought.
    categories : (column of ``Behaviour.shares``, mean share) of the leading categories, greatest share first.
    """

    name: str
    recency_days: float
    purchase_days: float
    spent: float
    buyers: float
    categories: list[tuple[int, float]]


def _activity(members: Behaviour, everyone: Behaviour) -> str:
    """Return "recent " or "lapsed " if the median member is in the first or last third of all users by recency."""
    median = np.median(members.recency_days)
    first, last = np.quantile(everyone.recency_days, [1 / 3, 2 / 3])
    if first == last:
        return ""
    return "recent " if median <= first else "lapsed " if median >= last else ""


def _habit(members: Behaviour, everyone: Behaviour) -> tuple[str, bool]:
    """Return a phrase for the members, such as "frequent buyers", and whether they are buyers."""
    if (members.purchase_days > 0).mean() < 0.5:
        return "visitors", False
    buyers = everyone.purchase_days > 0
    typical_days, typical_spent = np.median(everyone.purchase_days[buyers]), np.median(everyone.spent[buyers])
    days, spent = np.median(members.purchase_days), np.median(members.spent)
    wealth = "high-spending " if spent >= HIGH_SPENDING * typical_spent > 0 else ""
    often = "frequent " if days >= max(2.0, FREQUENT * typical_days) else "one-time " if days <= 1 else ""
    return f"{wealth}{often}buyers", True


def _preferred(shares: Float64Array, overall: Float64Array, least_share: float, least_lift: float) -> Int64Array:
    chosen = np.flatnonzero((shares >= least_share) & (shares >= least_lift * overall))
    return chosen[np.argsort(-shares[chosen], kind="stable")][:NAMED_CATEGORIES]


def describe_clusters(
    behaviour: Behaviour, labels: Int64Array, number: int, categories: Sequence[str]
) -> list[ClusterProfile]:
    """Return the profile of each cluster; no two have the same name.

    Parameters
    ----------
    labels : shape (n_users,), the cluster of each user, in [0, number); no cluster is empty.
    categories : the names of the columns of ``behaviour.shares``.
    """
    overall = behaviour.shares.mean(axis=0)
    members = [Behaviour(*(column[labels == cluster] for column in behaviour)) for cluster in range(number)]
    shares = [of_cluster.shares.mean(axis=0) for of_cluster in members]

    def name(cluster: int, least_share: float, least_lift: float) -> str:
        habit, are_buyers = _habit(members[cluster], behaviour)
        chosen = _preferred(shares[cluster], overall, least_share, least_lift)
        liked = " and ".join(categories[place] for place in chosen)
        taste = (f" of {liked}" if are_buyers else f" interested in {liked}") if liked else ""
        text = _activity(members[cluster], behaviour) + habit
        return text[0].upper() + text[1:] + taste

    names = [name(cluster, MIN_SHARE, MIN_LIFT) for cluster in range(number)]
    names = [
        name(cluster, TIE_SHARE, TIE_LIFT) if names.count(text) > 1 else text for cluster, text in enumerate(names)
    ]
    profiles = []
    taken: set[str] = set()
    for cluster, text in enumerate(names):
        unique, copy = text, 1
        while unique in taken:
            copy += 1
            unique = f"{text} ({copy})"
        taken.add(unique)
        own = members[cluster]
        leading = np.argsort(-shares[cluster], kind="stable")[:LISTED_CATEGORIES]
        profiles.append(
            ClusterProfile(
                unique,
                float(np.median(own.recency_days)),
                float(own.purchase_days.mean()),
                float(own.spent.mean()),
                float((own.purchase_days > 0).mean()),
                [(int(place), float(shares[cluster][place])) for place in leading if shares[cluster][place] > 0],
            )
        )
    return profiles
