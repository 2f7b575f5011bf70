"""Mixing content neighbours with the neighbours of a model. No I/O.

score = (1 − share) · collaborative · specificity + share · content, with share = max(prior / (prior + evidence),
CONTENT_SHARE_MIN). The evidence of a product is the sum of its co-occurrences with its collaborative neighbours. A new
product has share 1 and relies on content alone. A well-known product keeps half: a user who looks for products similar
to a milk wants milk, whatever everybody buys with it (docs/decisions/0057-similar-in-kind.md).

    specificity(j) = (c_j / (n_j + EVENTS_PRIOR)) / max of the same over the neighbours

where c_j is the co-occurrence with neighbour j and n_j the number of j's views and purchases. A model is tuned for what
a user turns to next. Where everybody buys the same staples, these are neighbours of everything, and similar to nothing.

content(j) is the similarity of descriptions, times ELSEWHERE if j is in another category than the product.
"""

from collections.abc import Sequence
from typing import Final

# the evidence at which content counts half
EVIDENCE_PRIOR: Final = 5.0
# The share of content however much evidence there is.
CONTENT_SHARE_MIN: Final = 0.5
# The factor of the content of products of another category.
ELSEWHERE: Final = 0.6
# Embeddings are 128 random signs: similarities of unrelated products deviate from 0 by 1/√128 = 0.09.
LEAST_CONTENT: Final = 0.2
# Three deviations: what a list of a user's own builds on is not by chance. One in 700 unrelated products is above.
CLEAR_CONTENT: Final = 0.27
# The heaviest products of a profile that are compared with others by content.
PROFILE_PRODUCTS: Final = 20
# Content neighbours of one product: as many as the index returns (hnsw.ef_search).
CONTENT_NEIGHBOURS: Final = 40
# Events that a neighbour is taken to have beside its own: few common users of a product with few events say little.
EVENTS_PRIOR: Final = 10.0


def specificities(co_occurrences: Sequence[int], event_counts: Sequence[int]) -> list[float]:
    """Return the specificity of each neighbour of a product, the greatest 1; all 1 if nothing co-occurs."""
    shares = [c / (n + EVENTS_PRIOR) for c, n in zip(co_occurrences, event_counts, strict=True)]
    greatest = max(shares, default=0.0)
    return [share / greatest if greatest else 1.0 for share in shares]


def mixed(collaborative: float, content: float, evidence: float) -> float:
    """Return the score of a neighbour, in [0, 1].

    ``collaborative`` is multiplied by the specificity already, ``content`` by the factor of its category.

    The statement SIMILAR in shared/storage/recommending/similar_products.py computes the same.
    """
    share = max(EVIDENCE_PRIOR / (EVIDENCE_PRIOR + evidence), CONTENT_SHARE_MIN)
    return (1.0 - share) * collaborative + share * (content if content >= LEAST_CONTENT else 0.0)
