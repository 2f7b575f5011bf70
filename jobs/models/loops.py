"""The loops over pairs of items that are compiled where a shop is large: plain Python that Numba understands.

Scalars, loops and arrays only. ``jobs/models/pairs.py`` compiles and calls them.
"""

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]
Places = NDArray[np.int64]
Reals = NDArray[np.float32]
Counts = NDArray[np.int32]
Factors = NDArray[np.float32]
Doubles = NDArray[np.float64]


def precedes(
    score: float, count: int, name: int, row: int, place: int, indices: Ids, scores: Reals, counts: Counts
) -> bool:
    """Whether one ranks before what stands at a place of a row: by score, then count, then name."""
    there = scores[row, place]
    if score != there:
        return bool(score > there)
    if count != counts[row, place]:
        return bool(count > counts[row, place])
    return bool(name < indices[row, place])


def insert(
    row: int, name: int, score: float, count: int, sizes: Counts, indices: Ids, scores: Reals, counts: Counts
) -> None:
    """Put ``name`` among the best of a sorted row; the last gives way."""
    k = indices.shape[1]
    to = sizes[row]
    while to > 0 and precedes(score, count, name, row, to - 1, indices, scores, counts):
        to -= 1
    if to == k:
        return
    if sizes[row] < k:
        sizes[row] += 1
    for moved in range(sizes[row] - 1, to, -1):
        indices[row, moved] = indices[row, moved - 1]
        scores[row, moved] = scores[row, moved - 1]
        counts[row, moved] = counts[row, moved - 1]
    indices[row, to] = name
    scores[row, to] = score
    counts[row, to] = count


def offer(
    row: int,
    name: int,
    score: float,
    count: int,
    worst: Reals,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Put ``name`` among the best of a row that is a heap, whose first is the last in rank; it gives way.

    worst : shape (n_rows,), the score to reach. Threads share it: whatever any of them has k of that are better cannot
    be among the best of all, so a bound that another overwrites costs time and changes nothing.
    """
    k = indices.shape[1]
    if sizes[row] < k:
        at = sizes[row]
        sizes[row] += 1
        while at > 0:
            above = (at - 1) // 2
            if precedes(score, count, name, row, above, indices, scores, counts):
                break
            indices[row, at] = indices[row, above]
            scores[row, at] = scores[row, above]
            counts[row, at] = counts[row, above]
            at = above
    elif precedes(score, count, name, row, 0, indices, scores, counts):
        at = 0
        while 2 * at + 1 < k:
            below = 2 * at + 1
            if below + 1 < k and precedes(
                scores[row, below],
                counts[row, below],
                indices[row, below],
                row,
                below + 1,
                indices,
                scores,
                counts,
            ):
                below += 1
            if not precedes(score, count, name, row, below, indices, scores, counts):
                break
            indices[row, at] = indices[row, below]
            scores[row, at] = scores[row, below]
            counts[row, at] = counts[row, below]
            at = below
    else:
        return
    indices[row, at] = name
    scores[row, at] = score
    counts[row, at] = count
    if sizes[row] == k and scores[row, 0] > worst[row]:
        worst[row] = scores[row, 0]


def merge(
    rows: Ids,
    more: Counts,
    from_indices: Ids,
    from_scores: Reals,
    from_counts: Counts,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Put what one thread found for its rows, in any order, among the best of the sorted rows ``rows``."""
    for at in range(len(rows)):
        for place in range(more[at]):
            insert(
                rows[at],
                from_indices[at, place],
                from_scores[at, place],
                from_counts[at, place],
                sizes,
                indices,
                scores,
                counts,
            )


def score_pairs(
    first: int,
    last: int,
    least: int,
    names: Ids,
    source: Reals,
    target: Reals,
    item_users: Places,
    users: Ids,
    places: Places,
    user_items: Places,
    items: Ids,
    weights: Reals,
    worst: Reals,
    sums: Reals,
    met: Ids,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Score the items ``first`` to ``last`` with all before them, and put each pair among the best of both.

    With the weights of user u for items i and j, S_ij = Σ_u w_ui · w_uj; j counts source_i · target_j · S_ij for i.

    user_items, items, weights : users' items, ascending, as CSR.
    item_users, users, places : items' users, and where in ``items`` each stands: all before it in the user's row are
        the others. S is symmetric, so each pair is met once.
    names : shape (n_items,), what items are called in ``indices``.
    sums : shape (n_items, 2), zeros before and after: S and the count of users, side by side in memory. A single
        precision count is exact up to 16 million.
    met : shape (n_items,), scratch.  sizes, worst : shape (n_items,), see ``offer``; ``worst`` starts above 0.
    """
    one = np.float32(1)
    for item in range(first, last):
        work = 0
        for at in range(item_users[item], item_users[item + 1]):
            work += places[at] - user_items[users[at]]
        # where few others are met they are remembered, and the rest is never looked at
        few = work < item // 4
        n_met = 0
        for at in range(item_users[item], item_users[item + 1]):
            end = places[at]
            weight = weights[end]
            if few:
                for entry in range(user_items[users[at]], end):
                    other = items[entry]
                    if sums[other, 1] == 0:
                        met[n_met] = other
                        n_met += 1
                    sums[other, 0] += weight * weights[entry]
                    sums[other, 1] += one
            else:
                for entry in range(user_items[users[at]], end):
                    other = items[entry]
                    sums[other, 0] += weight * weights[entry]
                    sums[other, 1] += one
        from_this, to_this, enough = source[item], target[item], worst[item]
        for place in range(n_met if few else item):
            other = met[place] if few else place
            total = sums[other, 0]
            mine, its = total * from_this * target[other], total * source[other] * to_this
            # seldom true, and all that most pairs cost
            if mine >= enough or its >= worst[other]:
                count = int(sums[other, 1])
                if count >= least:
                    if mine >= enough:
                        offer(item, names[other], mine, count, worst, sizes, indices, scores, counts)
                        enough = worst[item]
                    if its >= worst[other]:
                        offer(other, names[item], its, count, worst, sizes, indices, scores, counts)
        if few:
            for place in range(n_met):
                sums[met[place], 0] = 0
                sums[met[place], 1] = 0
        else:
            sums[:item] = 0


def meet(item: int, item_users: Places, users: Ids, user_items: Places, items: Ids, together: Counts, met: Ids) -> int:
    """List the items that an item's users have, itself among them, in ``met``; return how many they are.

    together : shape (n_items,), zeros before, and users who have both after.
    """
    n_met = 0
    for at in range(item_users[item], item_users[item + 1]):
        user = users[at]
        for entry in range(user_items[user], user_items[user + 1]):
            other = items[entry]
            if together[other] == 0:
                met[n_met] = other
                n_met += 1
            together[other] += 1
    return n_met


def sift(item: int, n_met: int, least: int, together: Counts, met: Ids, both: Counts) -> int:
    """Keep of ``met`` the others that ``least`` users or more have as well; return how many they are.

    both : shape (n_items,), how many users have each that is kept.  together : zeros again.
    """
    kept = 0
    for place in range(n_met):
        other = met[place]
        count = together[other]
        together[other] = 0
        if count >= least and other != item:
            met[kept] = other
            both[kept] = count
            kept += 1
    return kept


def rank_given(
    first: int,
    last: int,
    least: int,
    given: Reals,
    item_users: Places,
    users: Ids,
    user_items: Places,
    items: Ids,
    together: Counts,
    met: Ids,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Put the best of ``given``, the scores of all items for those from ``first`` to ``last``, into their rows.

    Others that fewer than ``least`` users have as well are left out.  together : shape (n_items,), zeros.
    met : shape (n_items,), scratch.
    """
    k = indices.shape[1]
    for item in range(first, last):
        n_met = meet(item, item_users, users, user_items, items, together, met)
        # nobody has the others as well
        few = least > 0
        for place in range(n_met if few else given.shape[1]):
            other = met[place] if few else place
            score = given[item - first, other]
            if score <= 0 or (sizes[item] == k and score < scores[item, k - 1]):
                continue
            if together[other] >= least and other != item:
                insert(item, other, score, together[other], sizes, indices, scores, counts)
        for place in range(n_met):
            together[met[place]] = 0


def rank_by_users(
    first: int,
    last: int,
    least: int,
    kernel: Doubles,
    per_item: Doubles,
    weights: Doubles,
    spoken: Doubles,
    item_users: Places,
    users: Ids,
    user_items: Places,
    items: Ids,
    together: Counts,
    met: Ids,
    both: Counts,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Put each item's best others by (XᵀKX)_ij · per_item_j, above 0, into the rows ``first`` to ``last``.

    Only others that ``least`` users or more have as well, at least 1, are scored.
    kernel : K, shape (n_users, n_users).  weights : of ``users``.  spoken : shape (n_users,), scratch.
    item_users, users : items' users.  user_items, items : users' items.
    together : shape (n_items,), zeros.  met, both : shape (n_items,), scratch.
    """
    for item in range(first, last):
        spoken[:] = 0
        for at in range(item_users[item], item_users[item + 1]):
            user, weight = users[at], weights[at]
            for other_user in range(len(spoken)):
                spoken[other_user] += weight * kernel[user, other_user]
        n_met = meet(item, item_users, users, user_items, items, together, met)
        for place in range(sift(item, n_met, least, together, met, both)):
            other = met[place]
            total = 0.0
            for at in range(item_users[other], item_users[other + 1]):
                total += weights[at] * spoken[users[at]]
            # as it is stored, so that equals are equal
            score = float(np.float32(total * per_item[other]))
            if score > 0:
                insert(item, other, score, both[place], sizes, indices, scores, counts)


def rank_by_factors(
    first: int,
    last: int,
    least: int,
    speaking: Factors,
    spoken_for: Factors,
    item_users: Places,
    users: Ids,
    user_items: Places,
    items: Ids,
    together: Counts,
    met: Ids,
    both: Counts,
    sizes: Counts,
    indices: Ids,
    scores: Reals,
    counts: Counts,
) -> None:
    """Put each item's best others by speaking_i · spoken_for_j, above 0, into the rows ``first`` to ``last``.

    As ``rank_by_users``; speaking, spoken_for : shape (n_items, n_factors).
    """
    for item in range(first, last):
        n_met = meet(item, item_users, users, user_items, items, together, met)
        for place in range(sift(item, n_met, least, together, met, both)):
            other = met[place]
            score = np.float32(0)
            for factor in range(speaking.shape[1]):
                score += speaking[item, factor] * spoken_for[other, factor]
            if score > 0:
                insert(item, other, float(score), both[place], sizes, indices, scores, counts)


def improve_rows(
    first: int, last: int, base: Factors, starts: Places, columns: Ids, extra: Reals, fixed: Factors, solved: Factors
) -> None:
    """Take three conjugate gradient steps towards the least squares solution of the rows ``first`` to ``last``.

    Row u solves (base + Σ_i extra_i · y_i y_iᵀ) x = Σ_i (1 + extra_i) · y_i over its entries i, whose factors are
    y_i = fixed[columns[i]]; base is YᵀY + λI (Takacs et al., RecSys 2011).
    """
    n = fixed.shape[1]
    zero = np.float32(0)
    rest, direction, along = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for row in range(first, last):
        x = solved[row]
        for step in range(4):
            what = direction if step else x
            along[:] = zero
            for one in range(n):
                part = what[one]
                for other in range(n):
                    along[other] += part * base[one, other]
            for entry in range(starts[row], starts[row + 1]):
                factors = fixed[columns[entry]]
                total = zero
                for one in range(n):
                    total += factors[one] * what[one]
                # the first time what is wanted comes in too: rest = target − applied(x)
                total = extra[entry] * total - (zero if step else np.float32(1) + extra[entry])
                for one in range(n):
                    along[one] += total * factors[one]
            if step == 0:
                length = zero
                for one in range(n):
                    rest[one] = direction[one] = -along[one]
                    length += rest[one] * rest[one]
                continue
            size = zero
            for one in range(n):
                size += direction[one] * along[one]
            size = length / max(size, np.float32(1e-20))
            new_length = zero
            for one in range(n):
                x[one] += size * direction[one]
                rest[one] -= size * along[one]
                new_length += rest[one] * rest[one]
            turn = new_length / max(length, np.float32(1e-20))
            for one in range(n):
                direction[one] = rest[one] + turn * direction[one]
            length = new_length
