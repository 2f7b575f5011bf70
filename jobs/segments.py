"""Job, daily: group users into segments by what they do and what they like, and name them."""

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from jobs.models.arrays import Float64Array, Int64Array
from jobs.models.cluster_matching import match_clusters
from jobs.models.cluster_names import ClusterProfile, describe_clusters
from jobs.models.clusters import Behaviour, Clusters, features, find_clusters
from shared.clients.postgres import Connection, transaction
from shared.job import Parameters, job, progress
from shared.storage.answers import invalidation
from shared.storage.answers.protocol import RECOMMENDATIONS
from shared.storage.recommending import segments as stored


class Segments(Parameters):
    """Limits of the input; docs/models.md gives the reasons for the defaults.

    days : age of the oldest events read, in days.
    min_users : number of users with an event that the shop needs before segments are formed.
    categories : the categories, most liked first, whose shares are compared.
    """

    days: Annotated[int, Field(ge=90, le=4000, strict=True)] = 365
    min_users: Annotated[int, Field(ge=10, le=1_000_000, strict=True)] = 50
    categories: Annotated[int, Field(ge=1, le=100, strict=True)] = 20


def _integers(packed: bytes) -> Int64Array:
    return np.frombuffer(packed, ">i8").astype(np.int64)


def _numbers(packed: bytes) -> Float64Array:
    return np.frombuffer(packed, ">f8").astype(np.float64)


def unpack(behaviour: stored.PackedBehaviour, tastes: stored.PackedTastes) -> tuple[Int64Array, Behaviour]:
    """Return the users of ``behaviour``, ascending, and what they did; tastes of other users are left out."""
    users = _integers(behaviour.user_ids)
    shares = np.zeros((len(users), len(tastes.categories)))
    owners = _integers(tastes.user_ids)
    rows = np.searchsorted(users, owners)
    known = rows < len(users)
    known[known] = users[rows[known]] == owners[known]
    shares[rows[known], _integers(tastes.places)[known]] = np.frombuffer(tastes.shares, ">f4")[known]
    return users, Behaviour(
        _numbers(behaviour.recency_days), _numbers(behaviour.purchase_days), _numbers(behaviour.spent), shares
    )


def segment_rows(
    users: Int64Array,
    clusters: Clusters,
    profiles: list[ClusterProfile],
    ids: list[int],
    earlier: tuple[Int64Array, Int64Array],
    value: tuple[Int64Array, Float64Array],
    categories: list[tuple[int, str]],
) -> list[dict[str, Any]]:
    """Return each cluster as a row of the table, with the numbers of members who joined and left since the last run.

    earlier : the users of the last run, ascending, and their segments then.
    value : the purchases and the revenue of each user.
    """
    earlier_users, earlier_ids = earlier
    before = np.zeros(len(users), np.int64)
    _, now, then = np.intersect1d(users, earlier_users, assume_unique=True, return_indices=True)
    before[now] = earlier_ids[then]
    rows = []
    for cluster, (segment, profile) in enumerate(zip(ids, profiles, strict=True)):
        members = clusters.labels == cluster
        stayed = int((before[members] == segment).sum())
        rows.append(
            {
                "id": segment,
                "name": profile.name,
                "size": int(members.sum()),
                "joined": int(members.sum()) - stayed,
                "departed": int((earlier_ids == segment).sum()) - stayed,
                "purchases": int(value[0][members].sum()),
                "revenue": round(float(value[1][members].sum()), 2),
                "profile": {
                    "recency_days": round(profile.recency_days, 1),
                    "purchase_days": round(profile.purchase_days, 2),
                    "spent": round(profile.spent, 2),
                    "buyers": round(profile.buyers, 4),
                    "categories": [
                        {"id": categories[place][0], "name": categories[place][1], "share": round(share, 4)}
                        for place, share in profile.categories
                    ],
                },
            }
        )
    return rows


def _store(connection: Connection, rows: list[dict[str, Any]], users: Int64Array, labels: Int64Array) -> dict[str, Any]:
    """Replace segments and members, and return the job's answer about them."""

    def lines() -> Iterator[bytes]:
        for user, label in zip(users.tolist(), labels.tolist(), strict=True):
            yield b"%d\t%d\n" % (user, rows[label]["id"])

    ended = stored.replace(connection, rows, lines())
    return {
        "segments": [{name: row[name] for name in ("id", "name", "size", "joined", "departed")} for row in rows],
        "ended": ended,
    }


@job
def segments(parameters: Segments) -> dict[str, Any]:
    """Find the segments and replace them in one transaction.

    Returns the number of users with an event, the segments, and how many segments ended. With fewer than ``min_users``
    users there are no segments, and ``reason`` says so.
    """
    with transaction(statement_timeout_s=0) as connection:
        packed = stored.read_behaviour(connection, parameters.days)
        tastes = stored.read_tastes(connection, parameters.categories)
        earlier_users, earlier_ids = map(_integers, stored.read_members(connection))
    users, behaviour = unpack(packed, tastes)
    result: dict[str, Any] = {"users": len(users)}
    rows: list[dict[str, Any]] = []
    labels = np.zeros(0, np.int64)
    if len(users) < parameters.min_users:
        result["reason"] = (
            f"{len(users)} users with an event in the last {parameters.days} days; segments need {parameters.min_users}"
        )
        users = users[:0]
    else:
        clusters = find_clusters(features(behaviour), previous=len(np.unique(earlier_ids)))
        progress("clusters found", users=len(users), clusters=clusters.number, silhouette=clusters.silhouette)
        result["silhouette"] = None if clusters.silhouette is None else round(clusters.silhouette, 4)
        names = [name for _, name in tastes.categories]
        profiles = describe_clusters(behaviour, clusters.labels, clusters.number, names)
        matched = match_clusters(users, clusters.labels, clusters.number, earlier_users, earlier_ids)
        with transaction() as connection:
            fresh = iter(stored.new_ids(connection, matched.count(None)))
        ids = [next(fresh) if segment is None else segment for segment in matched]
        value = _integers(packed.purchases), _numbers(packed.revenue)
        earlier = earlier_users, earlier_ids
        rows = segment_rows(users, clusters, profiles, ids, earlier, value, tastes.categories)
        labels = clusters.labels
    with transaction(statement_timeout_s=0) as connection:
        result |= _store(connection, rows, users, labels)
        depends = stored.are_named_by_rules(connection)
    return result | {"cache_flushed": invalidation.flush(RECOMMENDATIONS) if depends else False}
