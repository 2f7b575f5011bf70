"""What is remembered while Redis is away has a bound: beyond it, a scope stands for its users or products."""

import pytest

from shared.storage.answers.missed import MAX_REMEMBERED, Invalidation
from shared.storage.answers.protocol import PRODUCTS, RECOMMENDATIONS, TRENDING


@pytest.mark.parametrize(("more", "scopes"), [(0, set()), (1, {RECOMMENDATIONS})])
def test_very_many_users_become_their_scope(more: int, scopes: set[str]) -> None:
    waiting = Invalidation(user_ids={f"u{number}" for number in range(MAX_REMEMBERED - 1)}, product_ids={1})
    waiting.add(Invalidation(user_ids={"u0", *(f"new{number}" for number in range(1 + more))}))
    assert waiting.scopes == scopes
    assert len(waiting.user_ids) == (0 if more else MAX_REMEMBERED)
    assert waiting.product_ids == {1}


@pytest.mark.parametrize(("more", "scopes"), [(0, set()), (1, {PRODUCTS})])
def test_very_many_products_become_their_scope(more: int, scopes: set[str]) -> None:
    waiting = Invalidation(product_ids=set(range(MAX_REMEMBERED)), user_ids={"u"})
    waiting.add(Invalidation(product_ids=set(range(MAX_REMEMBERED + more))))
    assert waiting.scopes == scopes
    assert len(waiting.product_ids) == (0 if more else MAX_REMEMBERED)
    assert waiting.user_ids == {"u"}


def test_the_scopes_of_users_and_products_are_theirs() -> None:
    assert Invalidation(keys={"k"}).all_scopes() == set()
    assert Invalidation({TRENDING}, {"u"}).all_scopes() == {TRENDING, RECOMMENDATIONS}
    assert Invalidation(product_ids={1}).all_scopes() == {PRODUCTS}
    assert not Invalidation()
