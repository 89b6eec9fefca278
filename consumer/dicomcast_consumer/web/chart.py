"""Line charts as SVG, made here: no script, readable by a screen reader by <title> and <desc>. Pure.

Colours come from the page's stylesheet by class, so that they follow dark and light.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from .history import BUCKET_S, WINDOW_S
from .wording import clock, compact

__all__ = ["Line", "ceiling", "chart", "sparkline"]

_WIDTH: Final = 640
_HEIGHT: Final = 200
_LEFT: Final = 46
_RIGHT: Final = 8
_TOP: Final = 10
_BOTTOM: Final = 24
_SPARK: Final = (120, 28)
_GAP_S: Final = 4 * BUCKET_S
"""A longer silence is shown as a gap: nobody looked."""

Values = Sequence[tuple[float, float]]
"""Time (seconds since the epoch) and value, ascending."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; `style` is its class in the stylesheet."""

    name: str
    style: str
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class _Area:
    left: float
    top: float
    width: float
    height: float
    now_s: float
    most: float

    def place(self, at_s: float, value: float) -> tuple[float, float]:
        x = self.left + self.width * (1 - (self.now_s - at_s) / WINDOW_S)
        return x, self.top + self.height * (1 - value / self.most)


def chart(lines: Sequence[Line], *, now_s: float, id: str, title: str, desc: str) -> Markup:
    """The last hour. `id` is unique on the page; `desc` says in words what the picture shows."""
    most = ceiling(max((value for line in lines for _, value in line.values), default=0.0))
    area = _Area(
        left=_LEFT,
        top=_TOP,
        width=_WIDTH - _LEFT - _RIGHT,
        height=_HEIGHT - _TOP - _BOTTOM,
        now_s=now_s,
        most=most,
    )
    head = Markup('<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
        _WIDTH, _HEIGHT, id, id
    )
    words = Markup('<title id="{}-t">{}</title><desc id="{}-d">{}</desc>').format(id, title, id, desc)
    drawn = Markup("").join(_drawn(line, area) for line in lines)
    return head + words + _grid(area) + drawn + Markup("</svg>")


def sparkline(values: Values, *, now_s: float, style: str, title: str) -> Markup:
    """A small one without axes, for a cell of a table."""
    width, height = _SPARK
    most = ceiling(max((value for _, value in values), default=0.0))
    area = _Area(left=1, top=2, width=width - 2, height=height - 4, now_s=now_s, most=most)
    head = Markup('<svg class="spark" viewBox="0 0 {} {}" role="img" aria-label="{}">').format(width, height, title)
    base = Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(width, height - 2, height - 2)
    return head + base + _drawn(Line("", style, values), area) + Markup("</svg>")


def ceiling(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten: the top of an axis."""
    if value <= 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def _grid(area: _Area) -> Markup:
    rows = [area.most * part / 2 for part in range(3)]
    across = Markup("").join(_row(area, value) for value in rows)
    times = [area.now_s - WINDOW_S * part / 4 for part in range(5)]
    return across + Markup("").join(_tick(area, at_s) for at_s in times)


def _row(area: _Area, value: float) -> Markup:
    x, y = area.place(area.now_s - WINDOW_S, value)
    line = Markup('<line class="grid" x1="{:.1f}" x2="{:.1f}" y1="{:.1f}" y2="{:.1f}"/>')
    text = Markup('<text class="axis" x="{:.1f}" y="{:.1f}" text-anchor="end">{}</text>')
    return line.format(x, x + area.width, y, y) + text.format(x - 6, y + 4, compact(value))


def _tick(area: _Area, at_s: float) -> Markup:
    x, y = area.place(at_s, 0)
    anchor = "end" if at_s >= area.now_s else "middle"
    text = Markup('<text class="axis" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>')
    return text.format(x, y + 17, anchor, clock(at_s))


def _drawn(line: Line, area: _Area) -> Markup:
    return Markup("").join(_stretch(part, line.style, area) for part in _stretches(line.values, area.now_s))


def _stretch(values: Values, style: str, area: _Area) -> Markup:
    places = [area.place(at_s, value) for at_s, value in values]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    floor = area.top + area.height
    filled = f"{places[0][0]:.1f},{floor:.1f} {path} {places[-1][0]:.1f},{floor:.1f}"
    shape = Markup('<polygon class="fill {}" points="{}"/>').format(style, filled)
    if len(places) == 1:
        x, y = places[0]
        return Markup('<circle class="dot {}" cx="{:.1f}" cy="{:.1f}" r="2"/>').format(style, x, y)
    return shape + Markup('<polyline class="line {}" points="{}"/>').format(style, path)


def _stretches(values: Values, now_s: float) -> list[list[tuple[float, float]]]:
    """The values inside the window, cut where nobody looked."""
    found: list[list[tuple[float, float]]] = []
    for at_s, value in values:
        if at_s < now_s - WINDOW_S:
            continue
        if found and at_s - found[-1][-1][0] <= _GAP_S:
            found[-1].append((at_s, value))
        else:
            found.append([(at_s, value)])
    return found
