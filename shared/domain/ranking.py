"""Ranks the candidates of one user by the serving formula (shared/domain/formula.py); no I/O."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple, TypeVar

from shared.domain.formula import (
    FILLER_SCORE,
    KIND_WEIGHTS,
    NEARNESS_HALF_KM,
    NEARNESS_MIN,
    POPULARITY_FLOOR,
    PRICE_DEVIATION_MIN,
    PRICE_FACTOR_MIN,
    SUGGESTED_TIER,
    VIEWED_TIER,
    Formula,
)

EARTH_RADIUS_KM: Final = 6371.0
T = TypeVar("T")


class Candidate(NamedTuple):
    """A product that may be recommended, with the columns that ranking reads.

    Attributes
    ----------
    cf : the collaborative score, at least 0.
    trending : the score of the formula's trending window, at least 0.
    tier : SUGGESTED_TIER if profile or taste suggests the product; greater for a filler, in the order of filling up.
    position : a filler's position within its tier, from 1; from VIEWED_TIER on, within both tiers.
    group : the id of the variant group, of which a list contains one product; None if it is in no group.
    discount : the reduction as a share of the list price; 0 if the product is not on sale.
    bought : the number of purchases ever, at least 0; read only for a formula that discounts popularity.
    """

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
    tier: int = SUGGESTED_TIER
    position: int = 0
    group: str | None = None
    discount: float = 0.0
    bought: float = 0.0


@dataclass(frozen=True)
class TasteProfile:
    """A user's taste as of now, from their preferences or their profile.

    Attributes
    ----------
    scores : by kind ("category", "brand", "tag"), then by key.
    price_band : mean and standard deviation of log price; None if no price is known.
    """

    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    price_band: tuple[float, float] | None = None

    @cached_property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """Each key's share of the scores of its kind, times the weight of the kind."""
        shares: dict[str, dict[str, float]] = {kind: {} for kind in KIND_WEIGHTS}
        for kind, scores in self.scores.items():
            total = sum(scores.values())
            if total > 0:
                shares[kind] = {key: KIND_WEIGHTS[kind] * score / total for key, score in scores.items()}
        return shares


class Ranked(NamedTuple):
    """A ranked candidate, with the components of its score.

    Attributes
    ----------
    score : (from_profile + from_taste + from_trend) · nearness · factor.
    affinity, cf : as shares of the maximum among the candidates, in [0, 1].
    from_profile, from_taste, from_trend : the three terms of the formula; for a filler, only the trend counts.
    nearness : factor for the distance from the user.
    factor : factor from the shop's rules.
    tier : the tier in which it competed; SUGGESTED_TIER also for a filler that competes with the others.
    """

    id: int
    score: float
    affinity: float
    cf: float
    from_profile: float
    from_taste: float
    from_trend: float
    nearness: float
    factor: float
    tier: int


def affinity(candidate: Candidate, taste: TasteProfile) -> float:
    """Return how well a product fits a taste, in [0, 2]: the sum of the matching shares, times the price factor."""
    shares = taste.shares
    total = shares["category"].get(str(candidate.category_id), 0.0)
    if candidate.brand is not None:
        total += shares["brand"].get(candidate.brand, 0.0)
    tags = shares["tag"]
    if tags and candidate.tags:
        total += min(KIND_WEIGHTS["tag"], sum([tags.get(tag, 0.0) for tag in candidate.tags]))
    if total > 0 and taste.price_band is not None and candidate.price > 0:
        mean, deviation = taste.price_band
        distance = (math.log(candidate.price) - mean) / max(deviation, PRICE_DEVIATION_MIN)
        total *= PRICE_FACTOR_MIN + (1.0 - PRICE_FACTOR_MIN) * math.exp(-0.5 * distance * distance)
    return total


def distance_km(from_latitude: float, from_longitude: float, latitude: float, longitude: float) -> float:
    """Return the great-circle distance in km between two points in degrees (haversine)."""
    phi, psi = math.radians(from_latitude), math.radians(latitude)
    a = (
        math.sin((psi - phi) / 2) ** 2
        + math.cos(phi) * math.cos(psi) * math.sin(math.radians(longitude - from_longitude) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(a)))


def nearness(candidate: Candidate, location: tuple[float, float] | None, half_km: float = NEARNESS_HALF_KM) -> float:
    """Return the factor for distance, in (NEARNESS_MIN, 1]; 1 if the user's or the product's location is unknown."""
    if location is None or candidate.latitude is None or candidate.longitude is None:
        return 1.0
    distance = distance_km(*location, candidate.latitude, candidate.longitude)
    return NEARNESS_MIN + (1.0 - NEARNESS_MIN) * 2 ** (-distance / half_km)


def rank(
    candidates: Sequence[Candidate],
    taste: TasteProfile,
    formula: Formula,
    k: int,
    *,
    n_known: int = 0,
    location: tuple[float, float] | None = None,
    half_km: float = NEARNESS_HALF_KM,
    stock_first: bool = True,
    factors: Mapping[int, float] | None = None,
) -> list[Ranked]:
    """Return the best ``k`` of the candidates, best first.

    Ties go to the greater trend, then to the smaller id, so that the ranking is deterministic.

    A filler comes after all other candidates, in the order of tiers and positions. It competes like the others if it
    fits the user's taste, or if it trends and ``trending_prior`` is above 0. A product that returns only because the
    list would be too short (from VIEWED_TIER on) comes last and has no effect on the scores of the others.

    Of the variants in a group, only the first in this order is kept; with ``stock_first``, the first in stock.

    Parameters
    ----------
    candidates : each product once.
    n_known : number of products in the user's profile; a short profile has different weights.
    location : latitude and longitude of the user, in degrees.
    half_km : distance at which the bonus for nearness is halved.
    stock_first : whether products out of stock come after all others.
    factors : by product id, above 0; multiplies the score, or divides the position of a filler.

    Scores are in [0, 1 + trending_prior] before factors.
    """
    affinity_trend = formula.affinity_trend
    trending_prior = formula.trending_prior * formula.prior_share(n_known)
    competitors = [candidate for candidate in candidates if candidate.tier < VIEWED_TIER]
    max_trend = max((candidate.trending for candidate in competitors), default=0.0) or 1.0
    own = _own_scores(competitors, formula.discount_power(n_known))
    max_own = max(own.values(), default=0.0) or 1.0
    fits = [
        affinity(candidate, taste) * (1.0 + affinity_trend * candidate.trending / max_trend)
        if candidate.tier < VIEWED_TIER
        else 0.0
        for candidate in candidates
    ]
    max_fit = max(fits, default=0.0)
    blend = formula.blend_for(n_known) if max_fit > 0 else formula.blend
    max_fit = max_fit or 1.0
    keyed = []
    for candidate, candidate_fit in zip(candidates, fits, strict=True):
        fit = candidate_fit / max_fit
        trend = candidate.trending / max_trend
        cf = own.get(candidate.id, 0.0) / max_own
        terms = (blend * cf, (1.0 - blend) * fit, trending_prior * trend)
        competes = candidate.tier < VIEWED_TIER and (fit > 0 or (trending_prior > 0 and trend > 0))
        tier = SUGGESTED_TIER if competes else min(candidate.tier, VIEWED_TIER)
        if tier > SUGGESTED_TIER:
            terms = (0.0, 0.0, FILLER_SCORE * min(trend, 1.0))
        factor = factors.get(candidate.id, 1.0) if factors else 1.0
        near = 1.0 if location is None else nearness(candidate, location, half_km)
        score = (terms[0] + terms[1] + terms[2]) * near * factor
        is_last = stock_first and not candidate.in_stock
        position = candidate.position / factor if tier > SUGGESTED_TIER else 0
        keyed.append((is_last, tier, position, -score, -candidate.trending, candidate.id, fit, cf, terms, near, factor))
    # Ids are unique, so the comparison never goes beyond them.
    keyed.sort()
    groups = {candidate.id: candidate.group for candidate in candidates if candidate.group is not None}
    return [
        Ranked(product_id, -negative, fit, cf, *terms, near, factor, tier)
        for _last, tier, _position, negative, _trend, product_id, fit, cf, terms, near, factor in one_of_each(
            keyed, groups, lambda key: key[5]
        )[:k]
    ]


def _own_scores(candidates: Sequence[Candidate], power: float) -> dict[int, float]:
    """Return each product's collaborative score, divided by this power of its popularity."""
    if power == 0:
        return {candidate.id: candidate.cf for candidate in candidates}
    max_bought = max((candidate.bought for candidate in candidates), default=0.0)
    max_trend = max((candidate.trending for candidate in candidates), default=0.0) or 1.0
    return {
        candidate.id: candidate.cf
        / (POPULARITY_FLOOR + (candidate.bought / max_bought if max_bought > 0 else candidate.trending / max_trend))
        ** power
        for candidate in candidates
    }


def one_of_each(listed: Sequence[T], groups: Mapping[int, str], id_of: Callable[[T], int]) -> list[T]:
    """Return the entries without variants of earlier entries' products; ``groups`` by product id."""
    if not groups:
        return list(listed)
    shown: set[str] = set()
    result = []
    for entry in listed:
        group = groups.get(id_of(entry))
        if group not in shown:
            result.append(entry)
        if group is not None:
            shown.add(group)
    return result
