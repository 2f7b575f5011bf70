"""The serving formula as loops over users: plain Python that Numba understands.

Scalars, loops, arrays and named tuples of arrays only. ``jobs/offline/compiled.py`` compiles and calls them;
``jobs/offline/recommender.py`` says the same in NumPy.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Reals = NDArray[np.float64]
# more than a tier has places
TIER = 1 << 20


class Rows(NamedTuple):
    """A sparse matrix by rows, as CSR."""

    starts: Ids
    columns: Ids
    values: Reals


class Pool(NamedTuple):
    """What may be shown to each user whatever the profile, by row, then tier.

    ``turns`` : 0 for what competes, else tier · TIER + place, see ``serving.Candidates``.
    """

    starts: Ids
    items: Ids
    turns: Ids


class Taste(NamedTuple):
    """What fits whom: shares of taste times what their kind says, shapes (n_rows, n_codes), and codes by item.

    ``item_tags`` is a CSR without values.  log_prices : NaN where there is none.  means : NaN for users without prices.
    """

    category_shares: Reals
    categories: Ids
    brand_shares: Reals
    brands: Ids
    tag_shares: Reals
    tag_starts: Ids
    tags: Ids
    tag_weight: float
    log_prices: Reals
    means: Reals
    deviations: Reals


class Constants(NamedTuple):
    """The formula's constants that are not in profile or pool; ``most`` candidates come from the profile."""

    blend: float
    trending_prior: float
    affinity_trend: float
    repeat_weight: float
    most: int


class Scratch(NamedTuple):
    """What one thread works on: all of shape (n_items,) and zeros, before and after, but ``met`` and ``kept``."""

    sums: Reals
    turns: Ids
    known: NDArray[np.bool_]
    met: Ids
    fits: Reals


def sum_up(
    row: int,
    repeat_weight: float,
    profiles: Rows,
    neighbours: NDArray[np.int32],
    values: NDArray[np.float32],
    scratch: Scratch,
) -> int:
    """Add up what the profile speaks for into ``sums``, and return how many items are in ``met``."""
    sums, known, met = scratch.sums, scratch.known, scratch.met
    n_met = 0
    for at in range(profiles.starts[row], profiles.starts[row + 1]):
        item, weight = profiles.columns[at], profiles.values[at]
        for place in range(neighbours.shape[1]):
            other = neighbours[item, place]
            if other < 0:
                break
            if not known[other]:
                known[other] = True
                met[n_met] = other
                n_met += 1
            sums[other] += weight * values[item, place]
    if repeat_weight > 0:
        for at in range(profiles.starts[row], profiles.starts[row + 1]):
            item = profiles.columns[at]
            if not known[item]:
                known[item] = True
                met[n_met] = item
                n_met += 1
            sums[item] += repeat_weight * profiles.values[at]
    return n_met


def keep_best(n_met: int, most: int, active: NDArray[np.bool_], scratch: Scratch) -> int:
    """Keep the ``most`` greatest sums above 0 of ``met``, ties by item, and return how many there are."""
    sums, met, known = scratch.sums, scratch.met, scratch.known
    kept = 0
    for place in range(n_met):
        item = met[place]
        if not (sums[item] > 0 and active[item]):
            sums[item] = 0.0
            known[item] = False
            continue
        if kept < most:
            met[kept] = item
            kept += 1
            if kept == most:
                for start in range(most // 2 - 1, -1, -1):
                    sink(start, most, met, sums)
            continue
        worst = met[0]
        if sums[item] > sums[worst] or (sums[item] == sums[worst] and item < worst):
            met[0] = item
            sink(0, most, met, sums)
            item = worst
        sums[item] = 0.0
        known[item] = False
    return kept


def sink(at: int, size: int, heap: Ids, sums: Reals) -> None:
    """Restore a heap whose first is the last in rank, from one place downwards."""
    item = heap[at]
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size:
            one, other = heap[below], heap[below + 1]
            if sums[other] < sums[one] or (sums[other] == sums[one] and other > one):
                below += 1
        least = heap[below]
        if sums[item] < sums[least] or (sums[item] == sums[least] and item > least):
            break
        heap[at] = least
        at = below
    heap[at] = item


def answer(
    first: int,
    last: int,
    constants: Constants,
    profiles: Rows,
    neighbours: NDArray[np.int32],
    values: NDArray[np.float32],
    excluded: Rows,
    pool: Pool,
    active: NDArray[np.bool_],
    trend: Reals,
    taste: Taste,
    scratch: Scratch,
    answers: NDArray[np.int64],
) -> None:
    """Write the best items of the users ``first`` to ``last`` into ``answers``, shape (n_rows, k), filled with −1.

    neighbours, values : indices and scores of each item's neighbours, shape (n_items, n_neighbours), padded with −1.
    trend : the score of the formula's trending window, shape (n_items,).
    """
    sums, turns, known, met, fits = scratch.sums, scratch.turns, scratch.known, scratch.met, scratch.fits
    # from a tuple, each would be counted as referred to whenever it is read
    category_shares, categories, brand_shares, brands = (
        taste.category_shares,
        taste.categories,
        taste.brand_shares,
        taste.brands,
    )
    tag_shares, tag_starts, tags = taste.tag_shares, taste.tag_starts, taste.tags
    log_prices, means, deviations = taste.log_prices, taste.means, taste.deviations
    has_categories, has_brands = category_shares.shape[1] > 0, brand_shares.shape[1] > 0
    has_tags = tag_shares.shape[1] > 0
    k = answers.shape[1]
    scores = np.empty(k)
    for row in range(first, last):
        n = sum_up(row, constants.repeat_weight, profiles, neighbours, values, scratch)
        for at in range(excluded.starts[row], excluded.starts[row + 1]):
            sums[excluded.columns[at]] = 0
        n = keep_best(n, constants.most, active, scratch)
        for at in range(pool.starts[row], pool.starts[row + 1]):
            item = pool.items[at]
            if not known[item]:
                known[item] = True
                turns[item] = pool.turns[at]
                met[n] = item
                n += 1
        top_sum, top_trend = 0.0, 0.0
        for place in range(n):
            top_sum, top_trend = max(top_sum, sums[met[place]]), max(top_trend, trend[met[place]])
        top_sum, top_trend = top_sum or 1.0, top_trend or 1.0
        top_fit = 0.0
        for place in range(n):
            item = met[place]
            fit = 0.0
            if has_categories and categories[item] >= 0:
                fit += category_shares[row, categories[item]]
            if has_brands and brands[item] >= 0:
                fit += brand_shares[row, brands[item]]
            if has_tags:
                of_tags = 0.0
                for at in range(tag_starts[item], tag_starts[item + 1]):
                    of_tags += tag_shares[row, tags[at]]
                fit += taste.tag_weight * min(of_tags, 1.0)
            if fit > 0 and not (math.isnan(log_prices[item]) or math.isnan(means[row])):
                distance = (log_prices[item] - means[row]) / max(deviations[row], 0.5)
                fit *= 0.5 + 0.5 * math.exp(-0.5 * distance * distance)
            fits[place] = fit * (1.0 + constants.affinity_trend * (trend[item] / top_trend))
            top_fit = max(top_fit, fits[place])
        top_fit = top_fit or 1.0
        filled = 0
        for at in range(n):
            item = met[at]
            share = trend[item] / top_trend
            score = constants.blend * sums[item] / top_sum + (1.0 - constants.blend) * (fits[at] / top_fit)
            score += constants.trending_prior * share
            if fits[at] > 0 or (constants.trending_prior > 0 and share > 0):
                turns[item] = 0
            elif turns[item] > 0:
                score = 0.1 * share
            # sorted by insertion: most are worse than the last
            to = filled
            while to > 0:
                other = answers[row, to - 1]
                if turns[item] != turns[other]:
                    ahead = turns[item] < turns[other]
                elif score != scores[to - 1]:
                    ahead = score > scores[to - 1]
                elif trend[item] != trend[other]:
                    ahead = trend[item] > trend[other]
                else:
                    ahead = item < other
                if not ahead:
                    break
                to -= 1
            if to == k:
                continue
            filled = min(filled + 1, k)
            for moved in range(filled - 1, to, -1):
                answers[row, moved], scores[moved] = answers[row, moved - 1], scores[moved - 1]
            answers[row, to], scores[to] = item, score
        for at in range(n):
            item = met[at]
            sums[item], turns[item], known[item] = 0.0, 0, False
