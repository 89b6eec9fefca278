"""How far a long command is: a bar on a terminal, now and then a line in a log. On standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

__all__ = ["Advance", "progress"]

Advance = Callable[[int], None]
"""Says that so many more are done."""

_LINE_EVERY_S: Final = 10.0


@contextmanager
def progress(doing: str, *, total: int | None = None, lines: bool = True) -> Iterator[Advance]:
    """Around the work; `lines=False` keeps standard error free of lines where it is no terminal."""
    if sys.stderr.isatty():
        with _bar(doing, total) as advance:
            yield advance
    else:
        yield _Lines(doing, total, every_s=_LINE_EVERY_S if lines else float("inf"))


@contextmanager
def _bar(doing: str, total: int | None) -> Iterator[Advance]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as bar:
        task = bar.add_task(doing, total=total)
        yield lambda count: bar.advance(task, count)


class _Lines:
    def __init__(self, doing: str, total: int | None, *, every_s: float) -> None:
        self._doing = doing
        self._total = total
        self._every_s = every_s
        self._done = 0
        self._said_at = time.monotonic()

    def __call__(self, count: int) -> None:
        self._done += count
        if time.monotonic() - self._said_at >= self._every_s:
            self._said_at = time.monotonic()
            of = "" if self._total is None else f" of {self._total}"
            print(f"{self._doing}: {self._done}{of}", file=sys.stderr, flush=True)  # noqa: T201
