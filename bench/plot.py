"""Bars as an SVG."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_HEIGHT, _GAP = 16, 6
_LEFT, _WIDTH, _RIGHT, _TOP = 300, 450, 60, 30
_MOST = 3.0
"""Where the axis ends. A longer bar is cut there; its number stands beside it."""


class Bar(NamedTuple):
    """A ratio, and the one that is wanted."""

    label: str
    ratio: float
    wanted: float | None
    color: str


def draw(title: str, bars: Sequence[Bar]) -> str:
    """The bars below one another, with a line at 1 and a mark at each ratio that is wanted."""
    height = _TOP + len(bars) * (_HEIGHT + _GAP)
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(title)}</text>',
        *(_draw_bar(bar, _TOP + place * (_HEIGHT + _GAP)) for place, bar in enumerate(bars)),
        _draw_line(1, _TOP - 6, height, "#888"),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _draw_bar(bar: Bar, top: int) -> str:
    end = _place(bar.ratio)
    baseline = top + _HEIGHT - 4
    parts = [
        f'<text x="{_LEFT - 8}" y="{baseline}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{_LEFT}" y="{top}" width="{end - _LEFT:.1f}" height="{_HEIGHT}"'
        f' fill="{bar.color}"/>',
        f'<text x="{end + 5:.1f}" y="{baseline}">{bar.ratio:.2f}</text>',
    ]
    if bar.wanted is not None:
        parts.append(_draw_line(bar.wanted, top - 2, top + _HEIGHT + 2, "#d33"))
    return "\n".join(parts)


def _draw_line(ratio: float, top: int, bottom: int, color: str) -> str:
    x = f"{_place(ratio):.1f}"
    return f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="{color}" stroke-width="2"/>'


def _place(ratio: float) -> float:
    return _LEFT + _WIDTH * min(ratio, _MOST) / _MOST
