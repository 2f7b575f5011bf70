"""Epochs and keys of stored answers. Keys must not change: releases that run side by side share them."""

import time

import pytest

from shared.domain.category_references import ANY_CATEGORY, CategoryReference
from shared.domain.product_references import ProductReference
from shared.storage.answers import protocol


@pytest.mark.parametrize(
    ("stored", "epoch", "body"),
    [
        (None, None, None),
        (None, b"3", None),
        (b"0\n{}", None, None),
        (b"None\n{}", None, None),
        (b"3\n{}", b"3", b"{}"),
        (b"2\n{}", b"3", None),
        (b"33\n{}", b"3", None),
        (b"0\n", b"0", b""),
        (b'3\n{"a":\n1}', b"3", b'{"a":\n1}'),
    ],
)
def test_an_answer_is_valid_only_with_the_epoch_of_its_scope(
    stored: bytes | None, epoch: bytes | None, body: bytes | None
) -> None:
    assert protocol.valid_body(stored, epoch) == body


def test_a_fresh_number_is_the_time_and_fits_redis() -> None:
    before = time.time_ns() // 1000
    numbers = [protocol.fresh_number() for _ in range(1000)]
    after = time.time_ns() // 1000
    # a lost counter would begin again at 1; these grow with the time, and differ between processes in the last digits
    assert all(before <= number // 1000 <= after for number in numbers)
    assert len({number % 1000 for number in numbers}) > 100
    assert max(numbers) < 2**63


def test_keys_do_not_change() -> None:
    assert protocol.user_key("u") == "rec:u"
    assert protocol.generation_key("u") == "recgen:u"
    assert protocol.product_key(7) == "products:one:7"
    assert protocol.similar_products_key(ProductReference(7), 10) == "sim:7:10"
    assert protocol.similar_products_key(ProductReference(7), 10, "content", True) == "sim:7:10:content:explain"
    context = [ProductReference(7), ProductReference(3)]
    assert protocol.bought_together_key(context, 10, True) == "together:7,3:10:1"
    assert protocol.bought_together_key(context, 10, False, True) == "together:7,3:10:0:explain"
    assert protocol.trending_key("7d", ANY_CATEGORY, 10) == "trending:7d::10"
    assert protocol.trending_key("30d", CategoryReference(2), 5) == "trending:30d:2:5"
    # ids and names of the shop's own are no integers, whatever they look like
    keys = {
        protocol.similar_products_key(reference, 10)
        for reference in (ProductReference(7), ProductReference(None, "7"), ProductReference(7, "7"))
    } | {
        protocol.trending_key("7d", CategoryReference(None, "2"), 5),
        protocol.trending_key("7d", CategoryReference(2), 5),
    }
    assert len(keys) == 5
    assert protocol.catalog_key("suggest", "heart", 8) == "products:suggest:636b66ed052b8e742248bc8bbf15e029"
