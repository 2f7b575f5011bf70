"""Lines of arithmetic say what they compute."""

import pytest

from delivery.arithmetic import Line, Term, amount, total


def test_a_line_is_evaluated_as_it_reads() -> None:
    line = Line("work", (Term("", 20, "requests/s"), Term("×", 3, "ms"), Term("÷", 1000, "ms/s")), "vCPU")
    assert line.result == pytest.approx(0.06)
    assert str(line) == "work: 20 requests/s × 3 ms ÷ 1,000 ms/s = 0.06 vCPU"


def test_sums_and_differences_go_from_left_to_right() -> None:
    line = Line("rest", (Term("", 10, "a"), Term("-", 4, "b"), Term("+", 1, "c"), Term("×", 2, "d")), "e")
    assert line.result == 14


@pytest.mark.parametrize(
    ("quantity", "whole"), [(9.0, 3), (9.000001, 4), (8.999999, 3), (0.0, 0), (3 * (1 + 1e-12), 1)]
)
def test_rounding_up_counts_what_is_begun_and_no_binary_dust(quantity: float, whole: int) -> None:
    line = Line("instances", (Term("", quantity, "x"), Term("÷", 3, "y")), "instances", up=True)
    assert line.result == whole
    assert "rounded up" in str(line)


def test_a_total_shows_its_parts() -> None:
    parts = [Line("a", (Term("", 2, "x"),), "x"), Line("b", (Term("", 2.5, "x"), Term("×", 2, "")), "x")]
    assert total("both", parts, "x").result == 7
    assert str(total("both", parts, "x")) == "both: 2 + 5 = 7 x"
    assert total("none", [], "x").result == 0


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (7, "7"), (0.123456, "0.123"), (99.94, "99.9"), (100.4, "100"), (1234567.8, "1,234,568")],
)
def test_amounts_have_three_digits_or_all_whole_ones(value: float, shown: str) -> None:
    assert amount(value) == shown
