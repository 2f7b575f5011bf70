"""Lines of arithmetic that show what they compute: quantities with units, and a result.

A line is evaluated from left to right, as it reads.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

# Rounding up must not add one for the last digit of a binary fraction.
TOLERANCE: Final = 1e-9
DAY_S: Final = 86_400
GIB: Final = 2.0**30


class Term(NamedTuple):
    """A quantity with its unit, and the sign before it: "", "×", "÷", "+" or "-"."""

    sign: str
    value: float
    unit: str


@dataclass(frozen=True)
class Line:
    """A named result: its terms, its unit, and whether it is rounded up to a whole number."""

    what: str
    terms: tuple[Term, ...]
    unit: str
    up: bool = False

    @property
    def exact(self) -> float:
        """The result before it is rounded."""
        value = self.terms[0].value
        for term in self.terms[1:]:
            if term.sign == "×":
                value *= term.value
            elif term.sign == "÷":
                value /= term.value
            elif term.sign == "+":
                value += term.value
            else:
                value -= term.value
        return value

    @property
    def result(self) -> float:
        """The result."""
        return float(math.ceil(self.exact - TOLERANCE)) if self.up else self.exact

    def __str__(self) -> str:
        shown = " ".join(f"{term.sign} {amount(term.value)} {term.unit}".strip() for term in self.terms)
        if len(self.terms) == 1:
            return f"{self.what}: {shown}"
        exact = f" = {amount(self.exact)}, rounded up" if self.up else ""
        return f"{self.what}: {shown}{exact} = {amount(self.result)} {self.unit}"

    def as_json(self) -> dict[str, Any]:
        """Return the line for programs."""
        return {
            "what": self.what,
            "terms": [term._asdict() for term in self.terms],
            "result": self.result,
            "unit": self.unit,
        }


def total(what: str, lines: Sequence[Line], unit: str) -> Line:
    """Return the sum of lines of one unit; of none, 0."""
    first, *others = [Term("+", line.result, "") for line in lines] or [Term("", 0.0, "")]
    return Line(what, (first._replace(sign=""), *others), unit)


def amount(value: float) -> str:
    """Return a number with three significant digits, or all of its whole ones."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"
