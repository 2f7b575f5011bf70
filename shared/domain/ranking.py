"""Ranking candidates for one user: collaborative score, content affinity, trending prior, place; no I/O.

score(j) = blend · cf(j)/max cf + (1 − blend) · fit(j)/max fit + trending_prior · trend(j)/max trend, where cf is summed
in SQL over the profile and fit(j) = (share of the user's taste that j matches) · (1 + affinity_trend · trend(j)/max
trend). jobs/offline/recommender.py is the same formula over arrays, by which it is tuned and measured.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

EARTH_RADIUS_KM: Final = 6371.0
# at this distance a product with a place keeps three quarters of its score, far away a half. A shop's own: the setting
# DISTANCE_HALF_KM
PLACE_HALF_KM: Final = 50.0
# how much each kind of preference says; a tag says less: a product has several
KIND_WEIGHTS: Final[Mapping[str, float]] = {"category": 1.0, "brand": 0.5, "tag": 0.5}


class Candidate(NamedTuple):
    """A product that may be recommended, with what ranking needs to know of it."""

    id: int
    cf: float = 0.0
    trending: float = 0.0
    category_id: int | None = None
    brand: str | None = None
    tags: Sequence[str] = ()
    price: float = 0.0
    in_stock: bool = True
    latitude: float | None = None
    longitude: float | None = None
    # 0: found by the profile or the taste; 1, 2, …: only there to fill up, in this order
    tier: int = 0
    # its place within the tier
    place: int = 0


@dataclass(frozen=True)
class Taste:
    """A user's preferences as of now: score by key for each kind, and mean and deviation of log price."""

    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price_band: tuple[float, float] | None = None

    @cached_property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """For each kind, what a key says: its share of the kind's scores times the kind's weight."""
        found: dict[str, dict[str, float]] = {kind: {} for kind in KIND_WEIGHTS}
        for kind, scores in self.scores.items():
            whole = sum(scores.values())
            if whole > 0:
                found[kind] = {key: KIND_WEIGHTS[kind] * score / whole for key, score in scores.items()}
        return found


class Ranked(NamedTuple):
    """A product's place in the answer."""

    id: int
    score: float
    affinity: float
    cf: float


def affinity(candidate: Candidate, taste: Taste) -> float:
    """Return how well a product fits a taste, in [0, 2]."""
    shares = taste.shares
    total = shares["category"].get(str(candidate.category_id), 0.0)
    if candidate.brand is not None:
        total += shares["brand"].get(candidate.brand, 0.0)
    tags = shares["tag"]
    if tags and candidate.tags:
        total += min(KIND_WEIGHTS["tag"], sum([tags.get(tag, 0.0) for tag in candidate.tags]))
    if total > 0 and taste.price_band is not None and candidate.price > 0:
        mean, deviation = taste.price_band
        # never narrower than a factor of 1.6: a single purchase says little of what else would be paid
        distance = (math.log(candidate.price) - mean) / max(deviation, 0.5)
        total *= 0.5 + 0.5 * math.exp(-0.5 * distance * distance)
    return total


def distance_km(from_latitude: float, from_longitude: float, latitude: float, longitude: float) -> float:
    """Return the great-circle distance (haversine)."""
    phi, psi = math.radians(from_latitude), math.radians(latitude)
    a = (
        math.sin((psi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(psi) * math.sin(math.radians(longitude - from_longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(a)))


def nearness(candidate: Candidate, place: tuple[float, float] | None, half_km: float = PLACE_HALF_KM) -> float:
    """Return the factor for distance, in (0.5, 1]; 1 where user or product has no place."""
    if place is None or candidate.latitude is None or candidate.longitude is None:
        return 1.0
    return 0.5 + 0.5 * 2 ** (-distance_km(*place, candidate.latitude, candidate.longitude) / half_km)


def rank(
    candidates: Sequence[Candidate],
    taste: Taste,
    k: int,
    *,
    blend: float = 0.6,
    trending_prior: float = 0.0,
    affinity_trend: float = 1.0,
    place: tuple[float, float] | None = None,
    half_km: float = PLACE_HALF_KM,
    stock_first: bool = True,
    factors: Mapping[int, float] | None = None,
) -> list[Ranked]:
    """Return the best ``k`` of the candidates, best first; ties by trending, then by id, so that an answer is stable.

    Candidates that only fill up come after all others, in the order of their tier, unless they fit the user's taste or
    a prior above 0 asks what is trending to compete. ``stock_first`` puts what is sold out after all that is not.
    ``factors`` multiply scores (shared/domain/rules.py); among fillers they divide the place.
    Scores are in [0, 1 + trending_prior], before factors.
    """
    trending_top = max((one.trending for one in candidates), default=0.0) or 1.0
    cf_top = max((one.cf for one in candidates), default=0.0) or 1.0
    affinities = [affinity(one, taste) * (1.0 + affinity_trend * one.trending / trending_top) for one in candidates]
    affinity_top = max(affinities, default=0.0) or 1.0
    keyed = []
    for position, one in enumerate(candidates):
        share = affinities[position] / affinity_top
        trend = one.trending / trending_top
        score = blend * one.cf / cf_top + (1.0 - blend) * share + trending_prior * trend
        # a filler that fits the user's taste is none, nor one that competes by the prior
        tier = 0 if share > 0 or (trending_prior > 0 and trend > 0) else one.tier
        if tier:
            score = 0.1 * trend
        factor = factors.get(one.id, 1.0) if factors else 1.0
        if place is not None:
            score *= nearness(one, place, half_km)
        score *= factor
        late = stock_first and not one.in_stock
        # fillers keep the order they were found in
        place_in_tier = one.place / factor if tier else 0
        keyed.append((late, tier, place_in_tier, -score, -one.trending, one.id, share, one.cf / cf_top))
    # no two have the same id
    keyed.sort()
    return [Ranked(key[5], -key[3], key[6], key[7]) for key in keyed[:k]]
