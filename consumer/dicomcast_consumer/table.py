"""A table on standard output: ruled on a terminal, aligned columns elsewhere, nothing ever cut off."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

__all__ = ["print_table"]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows under their columns; a column whose name starts with `>` is set to the right."""
    cells = [list(row) for row in rows]
    if sys.stdout.isatty():
        _print_ruled(columns, cells)
    else:
        _print_aligned(columns, cells)


def _print_ruled(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table()
    for name in columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)


def _print_aligned(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    lines = [[name.lstrip(">") for name in columns], *rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if name.startswith(">") else cell.ljust(width)
            for cell, width, name in zip(line, widths, columns, strict=True)
        )
        print("  ".join(padded).rstrip())  # noqa: T201
