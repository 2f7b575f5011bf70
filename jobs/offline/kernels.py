"""The serving formula as loops over users, in the subset of Python that Numba compiles.

The functions take only scalars, flat arrays and named tuples of flat arrays. jobs/offline/recommender.py prepares these
and runs the loops either compiled, over arrays, or interpreted, over lists. shared/domain/formula.py explains the
formula.
"""

import math
from typing import NamedTuple

from jobs.models.arrays import BoolArray, Float32Array, Float64Array, Int32Array, Int64Array
from shared.domain.formula import FILLER_SCORE, POPULARITY_FLOOR, PRICE_DEVIATION_MIN, PRICE_FACTOR_MIN, SHORT_PROFILE

# The distance between the orders of consecutive tiers of fillers: more than a tier has positions.
ORDERS_PER_TIER = 1 << 20


class SparseRows(NamedTuple):
    """A sparse matrix in CSR form: row r has ``columns`` and ``values`` from ``starts[r]`` to ``starts[r + 1]``."""

    starts: Int32Array
    columns: Int32Array
    values: Float64Array


class FlatNeighbours(NamedTuple):
    """The neighbours of each item and their scores, ``width`` per item, padded with −1."""

    items: Int32Array
    scores: Float32Array
    width: int


class FixedCandidates(NamedTuple):
    """Each user's candidates that do not depend on the profile, sorted by row, then tier.

    orders : 0 for a candidate suggested by the taste, tier · ORDERS_PER_TIER + position for a filler.
    """

    starts: Int32Array
    items: Int32Array
    orders: Int32Array


class TasteArrays(NamedTuple):
    """The inputs of affinity, as flat arrays.

    category_shares, brand_shares : shares of the user's taste times the weight of their kind, length n_rows · n_codes.
    categories, brands : code of each item, −1 if it has none.
    tag_shares : shares of the user's taste, length n_rows · n_tags.  tag_weight : the weight of tags.
    tag_starts, tags : the tags of an item are those from ``tag_starts[item]`` to ``tag_starts[item + 1]``.
    log_prices : for each item, NaN if it has no price.
    means, deviations : the price band of each row; the mean is NaN if the user has none.
    """

    n_categories: int
    category_shares: Float64Array
    categories: Int32Array
    n_brands: int
    brand_shares: Float64Array
    brands: Int32Array
    n_tags: int
    tag_shares: Float64Array
    tag_starts: Int32Array
    tags: Int32Array
    tag_weight: float
    log_prices: Float64Array
    means: Float64Array
    deviations: Float64Array


class ProfileCandidates(NamedTuple):
    """Each user's candidates from the profile, ``width`` places per row, and their cf.

    counts : number of candidates of each row, which fill its first places.
    n_known : number of products in the profile of each row.
    """

    counts: Int32Array
    n_known: Int32Array
    items: Int32Array
    scores: Float64Array
    width: int


class ProfileConstants(NamedTuple):
    """The parameters that decide on candidates from the profile.

    only_known : whether only the products of ``returning`` are candidates.
    """

    repeat_weight: float
    only_known: bool


class Constants(NamedTuple):
    """The formula's parameters that mix scores.

    prior_evidence : 0 if the prior never shrinks.
    """

    blend: float
    trending_prior: float
    prior_evidence: float
    affinity_trend: float
    popularity_discount: float
    short_profile_fit: float
    lasting_discount: float


class Scratch(NamedTuple):
    """The working memory of one thread.

    cf, orders, is_candidate : for each item; zero before and after each user.
    candidates, fits : the current user's candidates and their fit to the user's taste; length n_items.
    best_items, best_scores : the answer so far; length k.
    """

    cf: Float64Array
    orders: Int32Array
    is_candidate: BoolArray
    candidates: Int32Array
    fits: Float64Array
    best_items: Int32Array
    best_scores: Float64Array


def sum_neighbours(
    row: int, repeat_weight: float, profiles: SparseRows, neighbours: FlatNeighbours, scratch: Scratch
) -> int:
    """Sum the profile's contributions in ``cf``, list their items as candidates, and return the number of those."""
    cf, is_candidate, candidates = scratch.cf, scratch.is_candidate, scratch.candidates
    items, scores, width = neighbours.items, neighbours.scores, neighbours.width
    n_candidates = 0
    for at in range(profiles.starts[row], profiles.starts[row + 1]):
        first, weight = profiles.columns[at] * width, profiles.values[at]
        others, similarities = items[first : first + width], scores[first : first + width]
        for place in range(width):
            other = others[place]
            if other < 0:
                break
            if not is_candidate[other]:
                is_candidate[other] = True
                candidates[n_candidates] = other
                n_candidates += 1
            cf[other] += weight * similarities[place]
    if repeat_weight > 0:
        for at in range(profiles.starts[row], profiles.starts[row + 1]):
            item = profiles.columns[at]
            if not is_candidate[item]:
                is_candidate[item] = True
                candidates[n_candidates] = item
                n_candidates += 1
            cf[item] += repeat_weight * profiles.values[at]
    return n_candidates


def keep_known(row: int, n_candidates: int, known: SparseRows, scratch: Scratch) -> None:
    """Set the cf of all candidates to 0, except those of ``known``."""
    cf, candidates, values = scratch.cf, scratch.candidates, scratch.fits
    first, last = known.starts[row], known.starts[row + 1]
    for at in range(first, last):
        values[at - first] = cf[known.columns[at]]
    for place in range(n_candidates):
        cf[candidates[place]] = 0.0
    for at in range(first, last):
        cf[known.columns[at]] = values[at - first]


def keep_best(n_candidates: int, size: int, active: BoolArray, scratch: Scratch) -> int:
    """Keep the ``size`` active candidates with the greatest cf above 0, ties by item, and return their number.

    The candidates become a heap with the worst one first.
    """
    cf, candidates, is_candidate = scratch.cf, scratch.candidates, scratch.is_candidate
    kept = 0
    for place in range(n_candidates):
        item = candidates[place]
        if not (cf[item] > 0 and active[item]):
            cf[item] = 0.0
            is_candidate[item] = False
            continue
        if kept < size:
            candidates[kept] = item
            kept += 1
            if kept == size:
                for start in range(size // 2 - 1, -1, -1):
                    sift_down(start, size, candidates, cf)
            continue
        worst = candidates[0]
        if cf[item] > cf[worst] or (cf[item] == cf[worst] and item < worst):
            candidates[0] = item
            sift_down(0, size, candidates, cf)
            item = worst
        cf[item] = 0.0
        is_candidate[item] = False
    return kept


def sift_down(at: int, size: int, heap: Int32Array, cf: Float64Array) -> None:
    """Sift the item at place ``at`` of a heap down; the heap's root is the item that ranks last."""
    item = heap[at]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size:
            left, right = heap[child], heap[child + 1]
            if cf[right] < cf[left] or (cf[right] == cf[left] and right > left):
                child += 1
        last = heap[child]
        if cf[item] < cf[last] or (cf[item] == cf[last] and item > last):
            break
        heap[at] = last
        at = child
    heap[at] = item


def find_candidates(
    first: int,
    last: int,
    constants: ProfileConstants,
    profiles: SparseRows,
    neighbours: FlatNeighbours,
    excluded: SparseRows,
    returning: SparseRows,
    active: BoolArray,
    scratch: Scratch,
    into: ProfileCandidates,
) -> None:
    """Write the candidates from the profiles of the users in rows ``first`` to ``last`` − 1 to ``into``.

    Parameters
    ----------
    profiles, excluded : shape (n_rows, n_items): weights w, and products that may not be shown.
    returning : shape (n_rows, n_items), the only candidates with ``only_known``.
    active : for each item, whether it may be recommended.
    """
    cf, is_candidate, candidates = scratch.cf, scratch.is_candidate, scratch.candidates
    counts, n_known, items, scores, width = into.counts, into.n_known, into.items, into.scores, into.width
    for row in range(first, last):
        n = sum_neighbours(row, constants.repeat_weight, profiles, neighbours, scratch)
        for at in range(excluded.starts[row], excluded.starts[row + 1]):
            cf[excluded.columns[at]] = 0
        if constants.only_known:
            keep_known(row, n, returning, scratch)
        n = keep_best(n, width, active, scratch)
        counts[row] = n
        n_known[row] = profiles.starts[row + 1] - profiles.starts[row]
        for place in range(n):
            item = candidates[place]
            items[row * width + place] = item
            scores[row * width + place] = cf[item]
            cf[item], is_candidate[item] = 0.0, False


def rank_candidates(
    first: int,
    last: int,
    constants: Constants,
    profile_candidates: ProfileCandidates,
    returning: SparseRows,
    fixed: FixedCandidates,
    active: BoolArray,
    groups: Int32Array,
    trend: Float64Array,
    bought: Float64Array,
    taste: TasteArrays,
    scratch: Scratch,
    answers: Int64Array,
) -> None:
    """Write the best items of the users in rows ``first`` to ``last`` − 1 to ``answers``.

    Parameters
    ----------
    profile_candidates : what ``find_candidates`` wrote.
    returning : shape (n_rows, n_items), the products that fill a short answer, in their order.
    active : for each item, whether it may be recommended.
    groups : for each item, its group of variants, of which an answer has at most one; −1 for none.
    trend : for each item, its score in the formula's trending window.
    bought : for each item, its number of purchases.
    answers : shape (n_rows, k), filled with −1.
    """
    cf, orders, is_candidate = scratch.cf, scratch.orders, scratch.is_candidate
    candidates, fits = scratch.candidates, scratch.fits
    best_items, best_scores = scratch.best_items, scratch.best_scores
    # Numba counts references on each access through a tuple; local variables avoid that inside the loops
    n_categories, category_shares, categories = taste.n_categories, taste.category_shares, taste.categories
    n_brands, brand_shares, brands = taste.n_brands, taste.brand_shares, taste.brands
    n_tags, tag_shares, tag_starts, tags = taste.n_tags, taste.tag_shares, taste.tag_starts, taste.tags
    log_prices, means, deviations = taste.log_prices, taste.means, taste.deviations
    profile_items, profile_scores, width = profile_candidates.items, profile_candidates.scores, profile_candidates.width
    k = len(best_items)
    for row in range(first, last):
        row_categories = category_shares[row * n_categories : (row + 1) * n_categories]
        row_brands = brand_shares[row * n_brands : (row + 1) * n_brands]
        row_tags = tag_shares[row * n_tags : (row + 1) * n_tags]
        mean, deviation = means[row], max(deviations[row], PRICE_DEVIATION_MIN)
        has_band = not math.isnan(mean)
        n = profile_candidates.counts[row]
        for place in range(n):
            item = profile_items[row * width + place]
            candidates[place] = item
            cf[item], is_candidate[item] = profile_scores[row * width + place], True
        for at in range(fixed.starts[row], fixed.starts[row + 1]):
            item = fixed.items[at]
            if not is_candidate[item]:
                is_candidate[item] = True
                orders[item] = fixed.orders[at]
                candidates[n] = item
                n += 1
        max_cf, max_trend, max_bought = 0.0, 0.0, 0.0
        for place in range(n):
            item = candidates[place]
            max_cf, max_trend = max(max_cf, cf[item]), max(max_trend, trend[item])
            max_bought = max(max_bought, bought[item])
        max_trend = max_trend or 1.0
        short = min(1.0, SHORT_PROFILE / max(profile_candidates.n_known[row], 1))
        power = max(constants.popularity_discount * short, constants.lasting_discount)
        if power > 0:
            max_cf = 0.0
            for place in range(n):
                item = candidates[place]
                if cf[item] > 0:
                    popularity = bought[item] / max_bought if max_bought > 0 else trend[item] / max_trend
                    cf[item] /= (POPULARITY_FLOOR + popularity) ** power
                    max_cf = max(max_cf, cf[item])
        max_cf = max_cf or 1.0
        max_fit = 0.0
        for place in range(n):
            item = candidates[place]
            fit = 0.0
            if n_categories > 0 and categories[item] >= 0:
                fit += row_categories[categories[item]]
            if n_brands > 0 and brands[item] >= 0:
                fit += row_brands[brands[item]]
            if n_tags > 0:
                tag_share = 0.0
                for at in range(tag_starts[item], tag_starts[item + 1]):
                    tag_share += row_tags[tags[at]]
                fit += taste.tag_weight * min(tag_share, 1.0)
            if fit > 0 and has_band and not math.isnan(log_prices[item]):
                distance = (log_prices[item] - mean) / deviation
                fit *= PRICE_FACTOR_MIN + (1.0 - PRICE_FACTOR_MIN) * math.exp(-0.5 * distance * distance)
            fits[place] = fit * (1.0 + constants.affinity_trend * (trend[item] / max_trend))
            max_fit = max(max_fit, fits[place])
        blend = constants.blend
        if max_fit > 0:
            blend = min(blend, 1.0 - constants.short_profile_fit * short)
        max_fit = max_fit or 1.0
        trending_prior = constants.trending_prior
        if constants.prior_evidence > 0:
            trending_prior *= constants.prior_evidence / (constants.prior_evidence + profile_candidates.n_known[row])
        filled = 0
        for place in range(n):
            item = candidates[place]
            trend_share = trend[item] / max_trend
            score = blend * (cf[item] / max_cf) + (1.0 - blend) * (fits[place] / max_fit)
            score += trending_prior * trend_share
            if fits[place] > 0 or (trending_prior > 0 and trend_share > 0):
                orders[item] = 0
            elif orders[item] > 0:
                score = FILLER_SCORE * trend_share
            # insertion sort: most candidates are worse than the last item of the answer
            to = filled
            while to > 0:
                other = best_items[to - 1]
                if orders[item] != orders[other]:
                    is_better = orders[item] < orders[other]
                elif score != best_scores[to - 1]:
                    is_better = score > best_scores[to - 1]
                elif trend[item] != trend[other]:
                    is_better = trend[item] > trend[other]
                else:
                    is_better = item < other
                if not is_better:
                    break
                to -= 1
            if to == k:
                continue
            # an answer has only the best of a product's variants
            last = filled
            if groups[item] >= 0:
                for at in range(filled):
                    if groups[best_items[at]] == groups[item]:
                        last = at
                        break
            if last < to:
                continue
            if last == filled:
                filled = min(filled + 1, k)
                last = filled - 1
            for moved in range(last, to, -1):
                best_items[moved], best_scores[moved] = best_items[moved - 1], best_scores[moved - 1]
            best_items[to], best_scores[to] = item, score
        for place in range(filled):
            answers[row, place] = best_items[place]
        for at in range(returning.starts[row], returning.starts[row + 1]):
            if filled == k:
                break
            item = returning.columns[at]
            is_new = active[item] and not is_candidate[item]
            if is_new and groups[item] >= 0:
                for place in range(filled):
                    if groups[answers[row, place]] == groups[item]:
                        is_new = False
            if is_new:
                answers[row, filled] = item
                filled += 1
        for place in range(n):
            item = candidates[place]
            cf[item], orders[item], is_candidate[item] = 0.0, 0, False
