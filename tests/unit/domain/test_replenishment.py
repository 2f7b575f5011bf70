"""When a product is bought again."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.replenishment import REPLENISHMENT_KEY, ReplenishmentFormula, due_at, regular_days


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
