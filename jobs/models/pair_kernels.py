"""Numba kernels that score and rank pairs of items: plain Python with scalars, loops and arrays.

``jobs/models/pairs.py`` compiles and calls them. Rows of neighbours are ``indices, scores, counts``, each of shape
(n_rows, k); ``sizes``, shape (n_rows,), is the number of places filled in each row.
"""

import numpy as np

from jobs.models.arrays import Float32Array, Float64Array, Int32Array, Int64Array


def ranks_before(
    score: float,
    count: int,
    item: int,
    row: int,
    place: int,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> bool:
    """Return whether an item ranks before the entry at ``place`` of a row: by score, then count, then index."""
    present = scores[row, place]
    if score != present:
        return bool(score > present)
    if count != counts[row, place]:
        return bool(count > counts[row, place])
    return bool(item < indices[row, place])


def insert_sorted(
    row: int,
    item: int,
    score: float,
    count: int,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Insert an item into a row that is sorted best first; in a full row the last entry drops out."""
    k = indices.shape[1]
    target = sizes[row]
    while target > 0 and ranks_before(score, count, item, row, target - 1, indices, scores, counts):
        target -= 1
    if target == k:
        return
    if sizes[row] < k:
        sizes[row] += 1
    for place in range(sizes[row] - 1, target, -1):
        indices[row, place] = indices[row, place - 1]
        scores[row, place] = scores[row, place - 1]
        counts[row, place] = counts[row, place - 1]
    indices[row, target] = item
    scores[row, target] = score
    counts[row, target] = count


def push_heap(
    row: int,
    item: int,
    score: float,
    count: int,
    thresholds: Float32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Push an item onto a row that is a heap with its worst entry first; in a full row that entry drops out.

    thresholds : shape (n_rows,), the score that an item must reach to enter each row. Threads share it without a lock:
    an item below a threshold has k better ones in some thread's heap, so a lost update costs time but no accuracy.
    """
    k = indices.shape[1]
    if sizes[row] < k:
        place = sizes[row]
        sizes[row] += 1
        while place > 0:
            parent = (place - 1) // 2
            if ranks_before(score, count, item, row, parent, indices, scores, counts):
                break
            indices[row, place] = indices[row, parent]
            scores[row, place] = scores[row, parent]
            counts[row, place] = counts[row, parent]
            place = parent
    elif ranks_before(score, count, item, row, 0, indices, scores, counts):
        place = 0
        while 2 * place + 1 < k:
            child = 2 * place + 1
            if child + 1 < k and ranks_before(
                scores[row, child],
                counts[row, child],
                indices[row, child],
                row,
                child + 1,
                indices,
                scores,
                counts,
            ):
                child += 1
            if not ranks_before(score, count, item, row, child, indices, scores, counts):
                break
            indices[row, place] = indices[row, child]
            scores[row, place] = scores[row, child]
            counts[row, place] = counts[row, child]
            place = child
    else:
        return
    indices[row, place] = item
    scores[row, place] = score
    counts[row, place] = count
    if sizes[row] == k and scores[row, 0] > thresholds[row]:
        thresholds[row] = scores[row, 0]


def merge_heaps(
    rows: Int32Array,
    heap_sizes: Int32Array,
    heap_indices: Int32Array,
    heap_scores: Float32Array,
    heap_counts: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Insert the entries of one thread's heaps into sorted rows. ``rows``, shape (n_heaps,), holds each heap's row."""
    for heap in range(len(rows)):
        for place in range(heap_sizes[heap]):
            insert_sorted(
                rows[heap],
                heap_indices[heap, place],
                heap_scores[heap, place],
                heap_counts[heap, place],
                sizes,
                indices,
                scores,
                counts,
            )


def score_pairs(
    first: int,
    last: int,
    min_co_occurrence: int,
    item_ids: Int32Array,
    source: Float32Array,
    target: Float32Array,
    item_starts: Int64Array,
    item_users: Int32Array,
    item_entries: Int64Array,
    user_starts: Int64Array,
    user_items: Int32Array,
    weights: Float32Array,
    thresholds: Float32Array,
    sums: Float32Array,
    touched: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Score the items ``first`` to ``last`` with all items before them, and push each pair onto the heaps of both.

    The score of j as a neighbour of i is source_i · target_j · S_ij with S_ij = Σ_u w_ui · w_uj. S is symmetric, so
    each pair is visited once.

    item_ids : shape (n_items,), the index to store for each item.
    user_starts, user_items, weights : the items of each user as CSR, ascending by item.
    item_starts, item_users, item_entries : the users of each item as CSR, and the position of each pair in
        ``user_items``: the items before it in the user's row are those to pair with.
    thresholds : shape (n_items,), above 0 at the start; see ``push_heap``.
    sums : shape (n_items, 2), zeros on entry and on return. S and the number of common users share a cache line. A
        float32 count is exact up to 16 million.
    touched : shape (n_items,), scratch.
    """
    unit = np.float32(1)
    for item in range(first, last):
        work = 0
        for entry in range(item_starts[item], item_starts[item + 1]):
            work += item_entries[entry] - user_starts[item_users[entry]]
        # with few pairs, listing the partners is cheaper than scanning all items before this one
        few_pairs = work < item // 4
        n_touched = 0
        for entry in range(item_starts[item], item_starts[item + 1]):
            end = item_entries[entry]
            weight = weights[end]
            if few_pairs:
                for position in range(user_starts[item_users[entry]], end):
                    other = user_items[position]
                    if sums[other, 1] == 0:
                        touched[n_touched] = other
                        n_touched += 1
                    sums[other, 0] += weight * weights[position]
                    sums[other, 1] += unit
            else:
                for position in range(user_starts[item_users[entry]], end):
                    other = user_items[position]
                    sums[other, 0] += weight * weights[position]
                    sums[other, 1] += unit
        item_source, item_target, item_threshold = source[item], target[item], thresholds[item]
        for place in range(n_touched if few_pairs else item):
            other = touched[place] if few_pairs else place
            total = sums[other, 0]
            score = total * item_source * target[other]
            reverse_score = total * source[other] * item_target
            # for most pairs this comparison is all there is to do
            if score >= item_threshold or reverse_score >= thresholds[other]:
                count = int(sums[other, 1])
                if count >= min_co_occurrence:
                    if score >= item_threshold:
                        push_heap(item, item_ids[other], score, count, thresholds, sizes, indices, scores, counts)
                        item_threshold = thresholds[item]
                    if reverse_score >= thresholds[other]:
                        push_heap(
                            other, item_ids[item], reverse_score, count, thresholds, sizes, indices, scores, counts
                        )
        if few_pairs:
            for place in range(n_touched):
                sums[touched[place], 0] = 0
                sums[touched[place], 1] = 0
        else:
            sums[:item] = 0


def count_common_users(
    item: int,
    item_starts: Int64Array,
    item_users: Int32Array,
    user_starts: Int64Array,
    user_items: Int32Array,
    common_users: Int32Array,
    touched: Int32Array,
) -> int:
    """List in ``touched`` the items that share a user with ``item``, itself included, and return their number.

    common_users : shape (n_items,), zeros on entry; on return, the number of users who have both items.
    """
    n_touched = 0
    for entry in range(item_starts[item], item_starts[item + 1]):
        user = item_users[entry]
        for position in range(user_starts[user], user_starts[user + 1]):
            other = user_items[position]
            if common_users[other] == 0:
                touched[n_touched] = other
                n_touched += 1
            common_users[other] += 1
    return n_touched


def keep_frequent(
    item: int,
    n_touched: int,
    min_co_occurrence: int,
    common_users: Int32Array,
    touched: Int32Array,
    touched_counts: Int32Array,
) -> int:
    """Keep in ``touched`` the other items with ``min_co_occurrence`` common users or more, and return their number.

    touched_counts : shape (n_items,), the number of common users of each item kept.
    common_users : shape (n_items,), reset to zeros.
    """
    n_kept = 0
    for place in range(n_touched):
        other = touched[place]
        count = common_users[other]
        common_users[other] = 0
        if count >= min_co_occurrence and other != item:
            touched[n_kept] = other
            touched_counts[n_kept] = count
            n_kept += 1
    return n_kept


def rank_scores(
    first: int,
    last: int,
    min_co_occurrence: int,
    score_rows: Float32Array,
    item_starts: Int64Array,
    item_users: Int32Array,
    user_starts: Int64Array,
    user_items: Int32Array,
    common_users: Int32Array,
    touched: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Fill the rows ``first`` to ``last`` with the greatest of ``score_rows``, shape (last − first, n_items), above 0.

    Pairs with fewer than ``min_co_occurrence`` common users are left out.
    common_users : shape (n_items,), zeros on entry and on return.  touched : shape (n_items,), scratch.
    """
    k = indices.shape[1]
    for item in range(first, last):
        n_touched = count_common_users(item, item_starts, item_users, user_starts, user_items, common_users, touched)
        # an item without a common user cannot qualify
        touched_only = min_co_occurrence > 0
        for place in range(n_touched if touched_only else score_rows.shape[1]):
            other = touched[place] if touched_only else place
            score = score_rows[item - first, other]
            if score <= 0 or (sizes[item] == k and score < scores[item, k - 1]):
                continue
            if common_users[other] >= min_co_occurrence and other != item:
                insert_sorted(item, other, score, common_users[other], sizes, indices, scores, counts)
        for place in range(n_touched):
            common_users[touched[place]] = 0


def rank_by_users(
    first: int,
    last: int,
    min_co_occurrence: int,
    user_matrix: Float64Array,
    target: Float64Array,
    weights: Float64Array,
    user_scores: Float64Array,
    item_starts: Int64Array,
    item_users: Int32Array,
    user_starts: Int64Array,
    user_items: Int32Array,
    common_users: Int32Array,
    touched: Int32Array,
    touched_counts: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Fill the rows ``first`` to ``last`` with the greatest of (XᵀMX)_ij · target_j above 0.

    Only pairs with at least ``min_co_occurrence`` common users are scored; it must be at least 1.

    user_matrix : M, shape (n_users, n_users).  target : shape (n_items,).  weights : X, parallel to ``item_users``.
    user_scores : shape (n_users,), scratch.  item_starts, item_users : the users of each item as CSR.
    user_starts, user_items : the items of each user as CSR.  touched, touched_counts : shape (n_items,), scratch.
    common_users : shape (n_items,), zeros on entry and on return.
    """
    for item in range(first, last):
        user_scores[:] = 0
        for entry in range(item_starts[item], item_starts[item + 1]):
            user, weight = item_users[entry], weights[entry]
            for other_user in range(len(user_scores)):
                user_scores[other_user] += weight * user_matrix[user, other_user]
        n_touched = count_common_users(item, item_starts, item_users, user_starts, user_items, common_users, touched)
        for place in range(keep_frequent(item, n_touched, min_co_occurrence, common_users, touched, touched_counts)):
            other = touched[place]
            total = 0.0
            for entry in range(item_starts[other], item_starts[other + 1]):
                total += weights[entry] * user_scores[item_users[entry]]
            # rounded to the precision in which it is stored, so that equal scores tie
            score = float(np.float32(total * target[other]))
            if score > 0:
                insert_sorted(item, other, score, touched_counts[place], sizes, indices, scores, counts)


def rank_by_factors(
    first: int,
    last: int,
    min_co_occurrence: int,
    source_factors: Float32Array,
    target_factors: Float32Array,
    item_starts: Int64Array,
    item_users: Int32Array,
    user_starts: Int64Array,
    user_items: Int32Array,
    common_users: Int32Array,
    touched: Int32Array,
    touched_counts: Int32Array,
    sizes: Int32Array,
    indices: Int32Array,
    scores: Float32Array,
    counts: Int32Array,
) -> None:
    """Fill the rows ``first`` to ``last`` with the greatest of source_factors_i · target_factors_j above 0.

    source_factors, target_factors : shape (n_items, n_factors). Everything else as in ``rank_by_users``.
    """
    for item in range(first, last):
        n_touched = count_common_users(item, item_starts, item_users, user_starts, user_items, common_users, touched)
        for place in range(keep_frequent(item, n_touched, min_co_occurrence, common_users, touched, touched_counts)):
            other = touched[place]
            score = np.float32(0)
            for factor in range(source_factors.shape[1]):
                score += source_factors[item, factor] * target_factors[other, factor]
            if score > 0:
                insert_sorted(item, other, float(score), touched_counts[place], sizes, indices, scores, counts)
