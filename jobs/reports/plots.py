"""Plots as inline SVG, which needs neither scripts nor other files."""

from collections.abc import Sequence
from html import escape
from typing import Final

WIDTH: Final = 720
ROW: Final = 26
LEFT: Final = 150
RIGHT: Final = 110
COLOURS: Final = ("#1f6f54", "#b4532a", "#3b5b92", "#8a6d1d", "#6b4a86", "#4d7a86", "#8b3a4a", "#6f6f6f", "#2f2f2f")


def draw_bars(rows: Sequence[tuple[str, float, float, float]], title: str) -> str:
    """Return a bar for each ``(name, mean, low, high)``, the interval as a whisker; the first bar is highlighted."""
    top = max((high for *_, high in rows), default=0.0) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / top
    height = ROW * len(rows) + 12
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for place, (name, mean, low, high) in enumerate(rows):
        y = 8 + place * ROW
        colour = COLOURS[0] if place == 0 else "#b9c4bf"
        middle = y + ROW / 2 - 4
        parts.append(
            f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end">{escape(name)}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{max(1.0, mean * scale):.1f}" height="{ROW - 9}" fill="{colour}"/>'
            f'<line x1="{LEFT + low * scale:.1f}" x2="{LEFT + high * scale:.1f}" y1="{middle:.1f}" y2="{middle:.1f}" '
            f'stroke="#222" stroke-width="1.5"/>'
            f'<text x="{LEFT + high * scale + 8:.1f}" y="{middle + 4:.1f}">{mean:.4f}</text>'
        )
    return "".join(parts) + "</svg>"


def draw_lines(labels: Sequence[str], series: Sequence[tuple[str, Sequence[float]]], title: str) -> str:
    """Return a line for each ``(name, values)`` over the labels, and a legend; the first line is highlighted."""
    height, bottom, top_y = 240, 206, 12
    top = max((value for _, values in series for value in values), default=0.0) or 1.0
    right = WIDTH - 170
    step = (right - 60) / max(1, len(labels) - 1)
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">']
    for share in (0.0, 0.5, 1.0):
        y = bottom - share * (bottom - top_y)
        parts.append(
            f'<line x1="56" x2="{right + 6:.0f}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
            f'<text x="50" y="{y + 4:.1f}" text-anchor="end">{share * top:.3f}</text>'
        )
    for place, label in enumerate(labels):
        parts.append(f'<text x="{60 + place * step:.1f}" y="{bottom + 20}" text-anchor="middle">{escape(label)}</text>')
    for place, (name, values) in enumerate(series):
        colour = COLOURS[place % len(COLOURS)]
        points = " ".join(
            f"{60 + at * step:.1f},{bottom - value / top * (bottom - top_y):.1f}" for at, value in enumerate(values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{2.5 if place == 0 else 1.3}"/>'
            f'<text x="{right + 16:.0f}" y="{22 + place * 18}" fill="{colour}">{escape(name)}</text>'
        )
    return "".join(parts) + "</svg>"
