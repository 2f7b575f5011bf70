"""Blending of content-based neighbours with a model's collaborative neighbours. No I/O.

score = (1 − share) · collaborative · specificity + share · content, with share = max(prior / (prior + evidence),
CONTENT_SHARE_MIN). The evidence of a product is the sum of its co-occurrences with its collaborative neighbours. A new
product has share 1 and relies on content alone. A well-known product still keeps half: a user looking for products
similar to milk wants milk, whatever is usually bought with it (docs/decisions/0057-similar-in-kind.md).

    specificity(j) = (c_j / (n_j + EVENTS_PRIOR)) / max of the same over the neighbours

where c_j is the co-occurrence with neighbour j and n_j the number of j's views and purchases. A model is tuned for what
a user interacts with next. Where everybody buys the same staples, these are neighbours of everything but similar to
nothing.

content(j) is the similarity of the descriptions, times ELSEWHERE if j and the product are in different categories.
"""

from collections.abc import Sequence
from typing import Final

# The evidence at which the share of content would be one half.
EVIDENCE_PRIOR: Final = 5.0
# The minimum share of content, however much evidence there is.
CONTENT_SHARE_MIN: Final = 0.5
# Factor for the content similarity of products in a different category.
ELSEWHERE: Final = 0.6
# Minimum similarity. Embeddings are 128 random signs, so similarities of unrelated products have a standard deviation
# of 1/√128 = 0.09.
LEAST_CONTENT: Final = 0.2
# Three standard deviations, for personal lists, which must not build on chance: one in 700 unrelated products exceeds
# it.
CLEAR_CONTENT: Final = 0.27
# How many products of a profile, those of greatest weight, are compared with others by content.
PROFILE_PRODUCTS: Final = 20
# Content neighbours per product: as many as the index returns (hnsw.ef_search).
CONTENT_NEIGHBOURS: Final = 40
# Events added to a neighbour's own as a prior, because a few shared users of a product with few events prove little.
EVENTS_PRIOR: Final = 10.0


def specificities(co_occurrences: Sequence[int], event_counts: Sequence[int]) -> list[float]:
    """Return the specificity of each neighbour of a product, scaled to a maximum of 1; all 1 if nothing co-occurs."""
    shares = [c / (n + EVENTS_PRIOR) for c, n in zip(co_occurrences, event_counts, strict=True)]
    greatest = max(shares, default=0.0)
    return [share / greatest if greatest else 1.0 for share in shares]


def mixed(collaborative: float, content: float, evidence: float) -> float:
    """Return the score of a neighbour, in [0, 1].

    ``collaborative`` is already multiplied by the specificity, ``content`` by the factor for its category.

    The statement SIMILAR in shared/storage/recommending/similar_products.py computes the same.
    """
    share = max(EVIDENCE_PRIOR / (EVIDENCE_PRIOR + evidence), CONTENT_SHARE_MIN)
    return (1.0 - share) * collaborative + share * (content if content >= LEAST_CONTENT else 0.0)
