"""What `./aisle stress` concludes from its samples."""

from collections import Counter

import pytest

from benchmarks.stress import (
    CARTS_AHEAD,
    FIRST_RATE,
    FUNCTIONS,
    GROWTH,
    MAX_GROWN_MIB,
    MAX_P95_MS,
    Shoppers,
    Step,
    grow,
    growth,
    percentile,
    slope,
)
from delivery.demand import MIX


def test_the_slope_is_that_of_the_line() -> None:
    assert slope([(0, 5), (1, 7), (2, 9)]) == pytest.approx(2)
    # least squares of a point beside the line
    assert slope([(0, 0), (1, 0), (2, 3)]) == pytest.approx(1.5)
    assert slope([(1, 5), (1, 9)]) == 0
    assert slope([]) == 0


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert percentile(values, 0.95) == 96
    assert percentile(values, 0.5) == 51
    assert percentile([7.0], 0.95) == 7
    assert percentile([], 0.95) == 0


def test_a_step_is_late_beyond_the_limit() -> None:
    assert not Step(20, [MAX_P95_MS] * 100).is_late
    assert Step(20, [1.0] * 94 + [MAX_P95_MS + 0.1] * 6).is_late
    assert not Step(20, [1.0] * 95 + [MAX_P95_MS + 0.1] * 5 + [1.0]).is_late


def test_a_step_is_late_if_requests_fail() -> None:
    assert not Step(20, [1.0] * 1000, ["503 /cart"]).is_late
    assert Step(20, [1.0] * 1000, ["503 /cart"] * 2).is_late


def line(mib_per_sample: float) -> list[tuple[float, float]]:
    return [(number * 36.0, 100 + number * mib_per_sample) for number in range(101)]


def test_growth_is_by_the_hour_after_the_first_quarter() -> None:
    steady = [(seconds, mib if number >= 25 else mib + 500) for number, (seconds, mib) in enumerate(line(0.1))]
    grown = growth("cart", steady)
    assert grown.mib_per_hour == pytest.approx(10)
    assert grown.seconds == 75 * 36
    assert grown.first_mib == pytest.approx(102.5)
    assert grown.last_mib == pytest.approx(110)


def test_a_leak_is_more_than_caches_take() -> None:
    limit = MAX_GROWN_MIB / 75
    assert not growth("cart", line(limit * 0.99)).is_leak
    assert growth("cart", line(limit * 1.01)).is_leak
    assert not growth("cart", line(-1)).is_leak


def test_growth_needs_samples() -> None:
    with pytest.raises(ValueError, match="run longer"):
        growth("cart", [(0, 1)])


def test_the_mix_sums_to_a_hundred_and_uses_every_function() -> None:
    assert sum(MIX.values()) == 100
    shoppers = Shoppers(100)
    functions = Counter(shoppers.next()[0] for _ in range(5000))
    assert set(functions) == set(FUNCTIONS)
    assert functions["events"] == pytest.approx(1000, rel=0.15)


def test_a_cart_is_bought_once_and_long_after_it_was_filled() -> None:
    shoppers = Shoppers(100)
    filled: list[bytes] = []
    bought: list[bytes] = []
    for _ in range(5000):
        _function, request = shoppers.next()
        user = request.partition(b"user_id=")[2].partition(b" ")[0]
        if b"/cart/items" in request:
            filled.append(user)
        elif b"/cart/checkout" in request:
            bought.append(user)
            assert filled.index(user) <= len(filled) - CARTS_AHEAD
    assert len(bought) == len(set(bought)) > 100


def limit_of(capacity: float, *bursts: int) -> tuple[float, float, list[float]]:
    """Return the rate found and the late one, of functions that keep up with ``capacity``, and the rates tried.

    ``bursts`` are the numbers of the tries that another process disturbs.
    """
    tried: list[float] = []

    def run(rate: float) -> Step:
        tried.append(rate)
        is_late = rate > capacity or len(tried) in bursts
        return Step(rate, [MAX_P95_MS + is_late] * 20)

    kept, late = grow(run, lambda _line: None)
    assert late.is_late
    return kept, late.rate, tried


def test_the_load_grows_until_answers_are_late_twice() -> None:
    kept, late, tried = limit_of(30)
    assert (kept, late) == (pytest.approx(FIRST_RATE * GROWTH), pytest.approx(FIRST_RATE * GROWTH**2))
    assert tried == pytest.approx([20, 26, 33.8, 33.8])
    # a burst of another process is no limit
    assert limit_of(30, 1)[:2] == (kept, late)


def test_a_slow_machine_begins_lower() -> None:
    kept, late, tried = limit_of(6)
    assert tried == pytest.approx([20, 20, 10, 10, 5, 6.5, 6.5])
    assert (kept, late) == (5, pytest.approx(6.5))
    assert limit_of(0)[:2] == (0, 2.5)
