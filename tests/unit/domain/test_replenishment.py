"""When a product is bought again."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.replenishment import REPLENISHMENT_KEY, ReplenishmentFormula, due_at, is_due, regular_days


def test_a_product_is_due_when_the_interval_has_passed() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert due_at(now, 1.5) == now + timedelta(hours=36)


def test_a_version_stores_the_whole_formula() -> None:
    formula = ReplenishmentFormula(None, 0.3, 0.8, "7d", 1.0)
    assert ReplenishmentFormula.from_parameters({REPLENISHMENT_KEY: formula.parameters()}) == formula


@pytest.mark.parametrize("parameters", [None, {}, {REPLENISHMENT_KEY: None}, {"serving": {"timing": 3.0}}])
def test_a_version_without_it_has_the_defaults(parameters: dict[str, object] | None) -> None:
    assert ReplenishmentFormula.from_parameters(parameters) == ReplenishmentFormula()


def test_parameters_of_a_later_release_are_ignored() -> None:
    stored = {REPLENISHMENT_KEY: {"timing": 3.0, "weather": 1.0}}
    assert ReplenishmentFormula.from_parameters(stored) == ReplenishmentFormula(timing=3.0)


@pytest.mark.parametrize(
    ("quartiles", "days"),
    [
        (None, None),
        ((7.0, 7.0, 7.0), 7.0),
        ((6.0, 8.0, 12.0), 8.0),
        ((6.0, 8.0, 12.1), None),
        ((1.0, 30.0, 90.0), None),
    ],
)
def test_only_regular_gaps_are_a_usual_interval(quartiles: tuple[float, ...] | None, days: float | None) -> None:
    assert regular_days(quartiles) == days


@pytest.mark.parametrize(
    ("hours", "repeat_share", "quartiles", "expected"),
    [
        (0, 0.1, None, True),
        (1, 0.1, None, False),
        (0, 0.0999, None, False),
        # the user buys again what others do not
        (-1, 0.0, (6.0, 8.0, 12.0), True),
        (1, 1.0, (6.0, 8.0, 12.0), False),
    ],
)
def test_only_what_is_bought_again_is_due(
    hours: int, repeat_share: float, quartiles: tuple[float, ...] | None, expected: bool
) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert is_due(now + timedelta(hours=hours), now, repeat_share, quartiles) is expected
