"""The products that rules select, and their effect on a ranking."""

import pytest

from shared.domain.formula import Formula
from shared.domain.ranking import Candidate, TasteProfile, rank
from shared.domain.rules import Rule, applied, with_pins

# an id that Python keeps no object of
LARGE_ID = 10**12
LAMP = Candidate(1, cf=1.0, category_id=3, brand="Lux", tags=["light", "gift"], price=20.0, discount=0.25)


@pytest.mark.parametrize(
    ("rule", "selects"),
    [
        (Rule(1, "boost", product_id=1), True),
        (Rule(1, "boost", product_id=2), False),
        (Rule(1, "boost", categories=[2, 3]), True),
        (Rule(1, "boost", categories=[2]), False),
        (Rule(1, "boost", brand="Lux", tag="gift"), True),
        (Rule(1, "boost", brand="Lux", tag="toy"), False),
        (Rule(1, "boost", brand="lux"), False),
        (Rule(1, "boost", price_min=20.0, price_max=20.0), True),
        (Rule(1, "boost", price_max=19.99), False),
        (Rule(1, "boost", price_min=20.01), False),
        (Rule(1, "boost", discount_min=0.25), True),
        (Rule(1, "boost", discount_min=0.2), True),
        (Rule(1, "boost", discount_min=0.26), False),
    ],
)
def test_all_that_a_rule_gives_must_match(rule: Rule, selects: bool) -> None:
    assert rule.matches(LAMP) is selects


def test_an_id_of_any_size_is_selected() -> None:
    assert Rule(1, "boost", product_id=LARGE_ID).matches(Candidate(int(str(LARGE_ID))))
    assert not Rule(1, "boost", product_id=LARGE_ID).matches(Candidate(LARGE_ID + 1))


def test_a_product_has_no_discount_unless_it_is_known() -> None:
    assert Rule(1, "boost", discount_min=0.0).matches(Candidate(1))
    assert not Rule(1, "boost", discount_min=0.01).matches(Candidate(1))


def test_factors_multiply_and_the_strongest_rule_is_the_reason() -> None:
    weak, strong = Rule(1, "boost", product_id=1, factor=2.0), Rule(2, "bury", brand="Lux", factor=0.25)
    factors, because = applied([weak, strong, Rule(3, "pin", product_id=1, position=1)], [LAMP, Candidate(2)])
    assert factors == {1: 0.5}
    assert because == {1: strong}


def test_a_boost_reorders_candidates_and_fillers() -> None:
    neighbours = [Candidate(1, cf=1.0), Candidate(2, cf=0.8)]
    assert [product.id for product in rank(neighbours, TasteProfile(), Formula(), 5, factors={2: 2.0})] == [2, 1]
    fillers = [Candidate(n, tier=1, position=n) for n in range(1, 5)]
    assert [product.id for product in rank(fillers, TasteProfile(), Formula(), 5, factors={4: 8.0, 1: 0.1})] == [
        4,
        2,
        3,
        1,
    ]


def pin(rule: int, product: int, position: int, **more: bool) -> Rule:
    return Rule(rule, "pin", product_id=product, position=position, **more)


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ([pin(1, 9, 1)], [9, 1, 2]),
        ([pin(1, 9, 3)], [1, 2, 9]),
        ([pin(1, 9, 4)], [1, 2, 3]),
        # a pin beyond the answer leaves its product where it is
        ([pin(1, 2, 4)], [1, 2, 3]),
        ([pin(1, 2, 3)], [1, 3, 2]),
        ([pin(1, 3, 1)], [3, 1, 2]),
        ([pin(1, 8, 1), pin(2, 9, 1)], [8, 9, 1]),
        ([pin(2, 9, 1), pin(1, 8, 2)], [9, 8, 1]),
        ([pin(1, 9, 3), pin(2, 9, 1)], [9, 1, 2]),
        ([pin(1, 9, 1, eligible=False)], [1, 2, 3]),
    ],
)
def test_pins_take_their_places(pins: list[Rule], expected: list[int]) -> None:
    assert with_pins([1, 2, 3], pins, 3)[0] == expected


def test_a_pin_beyond_a_short_answer_is_its_last() -> None:
    ids, because = with_pins([1], [pin(7, 9, 5)], 10)
    assert ids == [1, 9]
    assert because[9].id == 7
    assert with_pins([], [pin(7, 9, 5)], 10)[0] == [9]
