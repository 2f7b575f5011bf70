"""Associations of baskets, against counting by hand."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from jobs.models import baskets as module
from jobs.models.baskets import Associations, find_associations


def run(baskets: list[list[int]], k: int = 50, min_count: int = 1) -> dict[int, Associations]:
    lines = [(number, product) for number, basket in enumerate(baskets) for product in basket]
    line_baskets = np.asarray([line[0] for line in lines], np.int64)
    products = np.asarray([line[1] for line in lines], np.int64)
    return {row.product: row for row in find_associations(line_baskets, products, k, min_count)}


def test_measures_are_those_of_the_definitions() -> None:
    # 4 baskets; product 1 in three, product 2 in two, both in two
    associations = run([[1, 2], [1, 2, 2], [1], [3]])[1]
    assert associations.others.tolist() == [2]
    assert associations.counts.tolist() == [2]
    assert associations.confidences.tolist() == pytest.approx([2 / 3])
    assert associations.lifts.tolist() == pytest.approx([2 * 4 / (3 * 2)])
    assert associations.scores.tolist() == pytest.approx([2 / math.sqrt(6)])


def test_pairs_no_more_frequent_than_by_chance_are_left_out() -> None:
    # 2 is in every basket: it goes with nothing in particular
    assert run([[1, 2], [1, 2], [2], [2]]) == {}


def test_rare_products_and_pairs_are_left_out() -> None:
    associations = run([[1, 2], [1, 2], [1, 2], [1, 3], [4, 5], [4, 5], [6]], min_count=3)
    assert {product: row.others.tolist() for product, row in associations.items()} == {1: [2], 2: [1]}


def test_associations_equal_a_count_of_every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK", 7)
    rng = np.random.default_rng(5)
    baskets = [sorted({int(value) for value in rng.zipf(1.4, size=rng.integers(1, 9)) % 40}) for _ in range(400)]
    singles = Counter(product for basket in baskets for product in basket)
    pairs = Counter(pair for basket in baskets for pair in itertools.permutations(basket, 2))
    expected: dict[int, list[tuple[float, int]]] = {}
    for (i, j), count in pairs.items():
        if min(count, singles[i], singles[j]) >= 2 and count * len(baskets) > singles[i] * singles[j]:
            expected.setdefault(i, []).append((-count / math.sqrt(singles[i] * singles[j]), j))
    associations = run(baskets, k=5, min_count=2)
    assert len(associations) > 20
    assert {product: row.others.tolist() for product, row in associations.items()} == {
        product: [j for _, j in sorted(partners)[:5]] for product, partners in expected.items()
    }


def test_no_baskets_are_no_pairs() -> None:
    assert run([]) == {}
    assert run([[1]]) == {}
