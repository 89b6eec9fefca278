"""What a person sees: progress on a terminal, plain lines in a log. No patient's values."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dicomcast_sandbox.demo.fhir_peer import Snapshot

__all__ = ["Report", "Step"]

_PLAIN_WIDTH: Final = 140
_SHORT_UID: Final = 24


class Step:
    """One step under way."""

    def __init__(self, console: Console, show: Callable[[str], None] | None) -> None:
        """`show`: replaces what a terminal shows of work under way."""
        self._console = console
        self._show = show
        self.waiting_for = ""
        """What was said last to be waited for."""
        self._since_s = time.monotonic()

    def doing(self, text: str) -> None:
        """What is waited for; on a terminal it replaces what was said before."""
        if self._show is not None:
            self._show(text)
        else:
            self._console.print(f"    {text} …", style="dim", markup=False, soft_wrap=True)
        self.waiting_for = text

    def progress(self, text: str) -> None:
        """How far it is; on a terminal alone."""
        if self._show is not None:
            self._show(f"{self.waiting_for}: {text}")

    def happened(self, what: str, *, seen: str) -> None:
        """The line that stays: what happened and how it was seen."""
        self._console.print(
            f"  [green]✓[/green] {escape(what)} [dim]({self._elapsed()}; seen: {escape(seen)})[/dim]",
            soft_wrap=True,
        )

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"    {text}", markup=False, soft_wrap=True)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._since_s:.1f} s"


class Report:
    """Writes to standard output; errors go to standard error."""

    def __init__(self, *, steps: int) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(highlight=False, width=None if terminal else _PLAIN_WIDTH)
        self._errors = Console(stderr=True, highlight=False)
        self._steps = steps
        self._number = 0

    def title(self, text: str) -> None:
        """A heading."""
        self._console.print(f"[bold]{escape(text)}[/bold]", soft_wrap=True)

    def line(self, text: str = "") -> None:
        """A plain line."""
        self._console.print(text, markup=False, soft_wrap=True)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Columns without headings."""
        widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) if rows else 0)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self.line("  " + "  ".join(cells).rstrip())

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One step; what it shows while it works is gone afterwards."""
        self._number += 1
        self._console.print(
            f"[bold cyan]{self._number}/{self._steps}[/bold cyan] [bold]{escape(title)}[/bold]", soft_wrap=True
        )
        if not self._console.is_terminal:
            yield Step(self._console, None)
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task("", total=None)
            yield Step(self._console, lambda text: progress.update(task, description=text))

    def studies(self, snapshot: Snapshot, uids: Sequence[str], *, show_patients: bool) -> None:
        """The studies in FHIR, in this order; whom they are of only where that is asked for."""
        wide = self._console.width >= _PLAIN_WIDTH
        table = Table(title="Studies in FHIR", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        table.add_column("Study Instance UID", no_wrap=True)
        for name in ("resource",) if wide else ():
            table.add_column(name)
        for name in ("modality", "started"):
            table.add_column(name, overflow="fold")
        for name in ("series", "instances", "version"):
            table.add_column(name, justify="right")
        for name in ("patient",) if show_patients else ():
            table.add_column(name, overflow="fold")
        for seen in (snapshot.studies[uid] for uid in uids if uid in snapshot.studies):
            cells = [seen.uid, seen.resource] if wide else [_shortened(seen.uid)]
            cells += [seen.modality, seen.started or "–", str(seen.series), str(seen.instances), str(seen.version)]
            cells += [snapshot.patients.get(seen.patient, "")] if show_patients else []
            table.add_row(*(escape(cell) for cell in cells))
        self._console.print(table)

    def failure(self, text: str, log: Mapping[str, Sequence[str]]) -> None:
        """Why the demo ends, and the last lines of the part that failed."""
        self._errors.print(f"[bold red]error:[/bold red] {escape(text)}", soft_wrap=True)
        for name, lines in log.items():
            self._errors.print(f"last lines of {name}:", markup=False, soft_wrap=True)
            for line in lines or ["(nothing)"]:
                self._errors.print(f"    {line}", markup=False, soft_wrap=True)


def _shortened(uid: str) -> str:
    return uid if len(uid) <= _SHORT_UID else f"{uid[:12]}…{uid[-8:]}"
