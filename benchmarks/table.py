"""The table of what was measured, as text and as a picture."""

import html
import math
from collections.abc import Sequence
from pathlib import Path

from .result import Row, load

__all__ = ["picture", "table"]


def table(parts: Sequence[str], folder: Path) -> str:
    """A Markdown table of all rows that are there."""
    lines = ["| | measured | to reach | |", "| --- | --- | --- | --- |"]
    for part in parts:
        found = load(part, folder)
        for row in found[1] if found else ():
            mark = {True: "yes", False: "no", None: ""}[row.is_reached]
            lines.append(f"| {part}: {row.name} | {_number(row.ratio)} {row.unit} | {row.reach} | {mark} |")
    return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def picture(parts: Sequence[str], folder: Path) -> str:
    """An SVG: a bar per row that has something to reach, its length the share that is reached, by powers of two."""
    rows = [row for part in parts if (found := load(part, folder)) for row in found[1] if row.reach]
    height = 24 * len(rows) + 30
    drawn = [_bar(row, 24 * index + 24) for index, row in enumerate(rows)]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="760" height="{height}" font-family="sans-serif" '
            'font-size="12">',
            f'<rect width="760" height="{height}" fill="white"/>',
            f'<line x1="500" y1="14" x2="500" y2="{height - 8}" stroke="#555" stroke-dasharray="3 3"/>',
            '<text x="500" y="11" text-anchor="middle" fill="#555">to reach</text>',
            *drawn,
            "</svg>",
            "",
        ]
    )


def _bar(row: Row, y: int) -> str:
    relation, bound = row.reach.split()
    share = row.ratio / float(bound) if relation == ">=" else float(bound) / max(row.ratio, 1e-9)
    length = min(max(200 + 55 * math.log2(max(share, 1e-3)), 3), 420)
    color = "#2a7f62" if row.is_reached else "#c0562f"
    text = html.escape(f"{_number(row.ratio)} {row.unit} ({row.reach})")
    return (
        f'<text x="292" y="{y + 12}" text-anchor="end">{html.escape(row.name)}</text>'
        f'<rect x="300" y="{y}" width="{length:.0f}" height="16" fill="{color}"/>'
        f'<text x="{306 + length:.0f}" y="{y + 12}">{text}</text>'
    )
