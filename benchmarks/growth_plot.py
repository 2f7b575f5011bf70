"""A plot of costs against size with logarithmic axes, as an SVG that needs no other file."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from jobs.reports.plots import COLOURS

WIDTH: Final = 860
PANEL: Final = 300
LEFT: Final = 80
RIGHT: Final = 210
TOP: Final = 30
BOTTOM: Final = 44
# names of lines that end close together are moved apart by this many pixels
LINE: Final = 15


@dataclass(frozen=True)
class Series:
    """A line of a plot: points (size, value). Those beyond the first ``measured`` are extrapolated and drawn dashed."""

    name: str
    points: Sequence[tuple[float, float]]
    measured: int | None = None

    @property
    def pieces(self) -> list[tuple[Sequence[tuple[float, float]], bool]]:
        """The points of the solid line and of the dashed one, which begins where the solid one ends."""
        last = len(self.points) if self.measured is None else self.measured
        return [(self.points[:last], True), *([(self.points[last - 1 :], False)] if last < len(self.points) else [])]


def decades(values: Sequence[float]) -> tuple[int, int]:
    """Return the powers of ten that enclose these positive values, at least one decade apart."""
    low = math.floor(math.log10(min(values)))
    return low, max(math.ceil(math.log10(max(values))), low + 1)


def apart(wanted: Sequence[float]) -> list[float]:
    """Return the places nearest to those wanted, in the same order, that are at least LINE apart."""
    placed = [0.0] * len(wanted)
    last = -math.inf
    for index in sorted(range(len(wanted)), key=wanted.__getitem__):
        last = placed[index] = max(wanted[index], last + LINE)
    return placed


def _label(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def _panel(title: str, series: Sequence[Series], above: int, unit: str) -> list[str]:
    # nothing has no place on a logarithmic axis: such a line is left out
    drawn = [line for line in series if min(value for _, value in line.points) > 0]
    x_low, x_high = decades([size for line in drawn for size, _ in line.points])
    y_low, y_high = decades([value for line in drawn for _, value in line.points])
    top, bottom = above + TOP, above + PANEL - BOTTOM

    def x(size: float) -> float:
        return LEFT + (math.log10(size) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return bottom - (math.log10(value) - y_low) / (y_high - y_low) * (bottom - top)

    parts = [f'<text x="{LEFT}" y="{above + 18}" font-weight="bold">{escape(title)}</text>']
    for power in range(y_low, y_high + 1):
        at = y(10**power)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{_label(power)}</text>'
        )
    for power in range(x_low, x_high + 1):
        at = x(10**power)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{bottom}" stroke="#ddd"/>'
            f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>'
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{bottom + 36}" text-anchor="middle">{escape(unit)}</text>'
    )
    labels = apart([y(line.points[-1][1]) for line in drawn])
    for place, (line, label) in enumerate(zip(drawn, labels, strict=True)):
        colour = COLOURS[place % len(COLOURS)]
        for piece, is_measured in line.pieces:
            points = [f"{x(size):.1f},{y(value):.1f}" for size, value in piece]
            dashes = "" if is_measured else ' stroke-dasharray="5 4"'
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>'
            )
            for point in points if is_measured else []:
                across, _, down = point.partition(",")
                parts.append(f'<circle cx="{across}" cy="{down}" r="3" fill="{colour}"/>')
        right = x(line.points[-1][0]) + 10
        parts.append(f'<text x="{right:.1f}" y="{label + 4:.1f}" fill="{colour}">{escape(line.name)}</text>')
    return parts


def draw_growth(panels: Sequence[tuple[str, Sequence[Series]]], unit: str) -> str:
    """Return one panel below the other, each with its lines over the sizes.

    A line that doubles with every doubling of the size rises by a decade per decade; one that is level does not grow.
    """
    height = PANEL * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="13" aria-label="{escape(", ".join(t for t, _ in panels))}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
    ]
    for place, (title, series) in enumerate(panels):
        parts += _panel(title, series, place * PANEL, unit)
    return "\n".join([*parts, "</svg>"]) + "\n"
