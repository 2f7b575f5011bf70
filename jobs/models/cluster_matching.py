"""Matching the clusters of two runs by their common members."""

from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from jobs.models.arrays import Int64Array

# The least overlap of matching clusters (Jaccard: common members / members of either). Below it, a cluster is new.
MIN_OVERLAP: Final = 0.2


def match_clusters(
    users: Int64Array, labels: Int64Array, number: int, earlier_users: Int64Array, earlier_ids: Int64Array
) -> list[int | None]:
    """Return the earlier id of each cluster; None for a new cluster.

    Parameters
    ----------
    users, earlier_users : shape (n_users,) and (n_earlier,), without repetition.
    labels : shape (n_users,), the cluster of each user, in [0, number).
    earlier_ids : shape (n_earlier,), the id of each earlier user's cluster.

    Only users of both runs are compared, so that a cluster keeps its id while the shop grows. The assignment maximises
    the sum of overlaps (Jaccard) and uses each id at most once (Kuhn, Naval Research Logistics 1955).
    """
    _, now, before = np.intersect1d(users, earlier_users, assume_unique=True, return_indices=True)
    ids, places = np.unique(earlier_ids[before], return_inverse=True)
    if not len(ids):
        return [None] * number
    common = np.zeros((number, len(ids)))
    np.add.at(common, (labels[now], places), 1)
    either = common.sum(axis=1, keepdims=True) + common.sum(axis=0, keepdims=True) - common
    overlap = common / np.maximum(either, 1)
    matched: list[int | None] = [None] * number
    for cluster, place in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
        if overlap[cluster, place] >= MIN_OVERLAP:
            matched[cluster] = int(ids[place])
    return matched
