"""Clusters of users by what they do and what they like: K-Means on RFM and taste.

RFM is recency, frequency and monetary value (Hughes, Strategic Database Marketing, 1994). Each is skewed, so its
logarithm is standardised. Taste is the shares of the leading categories, projected onto the few directions in which
users differ most (principal components: Hotelling, J. Educ. Psychol. 1933): in a shop with broad tastes most categories
are noise that hides the clusters. The number of clusters is the one with the greatest mean silhouette (Rousseeuw, J.
Comput. Appl. Math. 1987) on a sample. Equal input gives equal output, to the byte: seeds are fixed, and one thread
computes the sums, because several threads add in a varying order.
"""

from typing import Final, NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from threadpoolctl import threadpool_limits

from jobs.models.arrays import Float64Array, Int64Array

MIN_CLUSTERS: Final = 3
MAX_CLUSTERS: Final = 8
# Total variance of the columns of taste; each of the three standardised columns of RFM has variance 1.
TASTE_VARIANCE: Final = 1.5
# principal components of taste that are kept
TASTE_COMPONENTS: Final = 3
# Size of the sample on which each number of clusters is tried, and of the part of it on which silhouettes are computed,
# whose cost is quadratic in its size.
FIT_SAMPLE: Final = 10_000
SILHOUETTE_SAMPLE: Final = 2_000
# The number of clusters changes only if another one's silhouette is better by this much: otherwise near ties would
# regroup users every night.
MIN_GAIN: Final = 0.02
# starts of K-Means, of which the best is kept
STARTS: Final = 4
SEED: Final = 1


class Behaviour(NamedTuple):
    """What users did, one entry per user.

    Attributes
    ----------
    recency_days : float64, shape (n_users,), days since the last event, at least 0.
    purchase_days : float64, shape (n_users,), days on which the user bought something; 0 for users who never did.
    spent : float64, shape (n_users,), sum of what they paid, at least 0.
    shares : float64, shape (n_users, n_categories), the share of each category in the user's taste, in [0, 1]. A row
        adds up to 1 or less: categories beyond the leading ones are left out.
    """

    recency_days: Float64Array
    purchase_days: Float64Array
    spent: Float64Array
    shares: Float64Array


class Clusters(NamedTuple):
    """The cluster of each user, numbered from 0 by size, the largest first.

    labels : int64, shape (n_users,).  number : of clusters.  silhouette : mean over the sample, in [-1, 1]; None if
    users are too alike for more than one cluster.
    """

    labels: Int64Array
    number: int
    silhouette: float | None


def features(behaviour: Behaviour) -> Float64Array:
    """Return the coordinates in which users are compared, shape (n_users, 3 + at most TASTE_COMPONENTS).

    The logarithm of each column of RFM has mean 0 and variance 1, or is 0 if all users are equal. The columns of taste
    have mean 0 and a total variance of TASTE_VARIANCE, so that the weight of taste does not depend on the number of
    categories.
    """
    logs = np.log1p(np.column_stack((behaviour.recency_days, behaviour.purchase_days, behaviour.spent)))
    deviation = logs.std(axis=0)
    rfm = (logs - logs.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    shares = behaviour.shares - behaviour.shares.mean(axis=0)
    with threadpool_limits(1):
        # eigenvalues ascend
        directions = np.linalg.eigh(shares.T @ shares).eigenvectors[:, ::-1][:, :TASTE_COMPONENTS]
        taste = shares @ directions
    variance = float(taste.var(axis=0).sum())
    scale = np.sqrt(TASTE_VARIANCE / variance) if variance > 0 else 1.0
    return np.ascontiguousarray(np.hstack((rfm, taste * scale)))


def _labels(points: Float64Array, number: int, starts: int) -> Int64Array:
    return np.asarray(KMeans(number, n_init=starts, random_state=SEED).fit_predict(points), np.int64)


def silhouettes(points: Float64Array) -> dict[int, float]:
    """Return the mean silhouette of each number of clusters that the points allow, on a sample.

    Empty if there are fewer than MIN_CLUSTERS distinct points.
    """
    order = np.random.default_rng(SEED).permutation(len(points))[:FIT_SAMPLE]
    # the choice of points for the silhouettes must not depend on their position
    sample, compared = points[np.sort(order)], np.argsort(np.argsort(order))[:SILHOUETTE_SAMPLE]
    most = min(MAX_CLUSTERS, len(np.unique(sample, axis=0)))
    scores = {}
    for number in range(MIN_CLUSTERS, most + 1):
        labels = _labels(sample, number, 1)[compared]
        if 2 <= len(np.unique(labels)) < len(labels):
            scores[number] = float(silhouette_score(sample[compared], labels))
    return scores


def find_clusters(points: Float64Array, previous: int = 0) -> Clusters:
    """Return the clusters of the points.

    Parameters
    ----------
    points : float64, shape (n_users, n_features), at least one user; users must always come in the same order.
    previous : the previous number of clusters, which is kept unless another is better by MIN_GAIN; 0 if there is none.

    Time is linear in users, plus SILHOUETTE_SAMPLE² for each number tried; memory is about three times the points.
    """
    with threadpool_limits(1):
        scores = silhouettes(points)
        if not scores:
            return Clusters(np.zeros(len(points), np.int64), 1, None)
        number = max(scores, key=lambda candidate: (scores[candidate], -candidate))
        if previous in scores and scores[number] < scores[previous] + MIN_GAIN:
            number = previous
        labels = _labels(points, number, STARTS)
    sizes = np.bincount(labels, minlength=number)
    rank = np.empty(number, np.int64)
    rank[np.lexsort((np.arange(number), -sizes))] = np.arange(number)
    return Clusters(rank[labels], number, scores[number])
