"""What a person sees: progress on a terminal, plain lines in a log. No patient's values."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from dicomcast_sandbox.demo.fhir_peer import Snapshot

__all__ = ["Report", "Step"]

_PLAIN_WIDTH: Final = 140


class Step:
    """One step under way."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self.waiting_for = ""
        """What was said last to be waited for."""
        self._since_s = time.monotonic()

    def doing(self, text: str) -> None:
        """What is waited for; on a terminal it replaces what was said before."""
        if self._status is not None:
            self._status.update(f"{escape(text)} [dim]{self._elapsed()}[/dim]")
        elif text != self.waiting_for:
            self._console.print(f"    {text} …", style="dim", markup=False)
        self.waiting_for = text

    def progress(self, text: str) -> None:
        """How far it is; on a terminal alone."""
        if self._status is not None:
            self._status.update(f"{escape(self.waiting_for)}: {escape(text)} [dim]{self._elapsed()}[/dim]")

    def happened(self, what: str, *, seen: str) -> None:
        """The line that stays: what happened and how it was seen."""
        self._console.print(f"  [green]✓[/green] {escape(what)} [dim]({self._elapsed()}; seen: {escape(seen)})[/dim]")

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(f"    {text}", markup=False)

    def _elapsed(self) -> str:
        return f"{time.monotonic() - self._since_s:.1f} s"


class Report:
    """Writes to standard output; errors go to standard error."""

    def __init__(self, *, steps: int) -> None:
        terminal = sys.stdout.isatty()
        self._console = Console(highlight=False, soft_wrap=True, width=None if terminal else _PLAIN_WIDTH)
        self._errors = Console(stderr=True, highlight=False, soft_wrap=True)
        self._steps = steps
        self._number = 0

    def title(self, text: str) -> None:
        """A heading."""
        self._console.print(f"[bold]{escape(text)}[/bold]")

    def line(self, text: str = "") -> None:
        """A plain line."""
        self._console.print(text, markup=False)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Columns without headings."""
        table = Table.grid(padding=(0, 2))
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        self._console.print(table, soft_wrap=False)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One step; what it shows while it works is gone afterwards."""
        self._number += 1
        self._console.print(f"[bold cyan]{self._number}/{self._steps}[/bold cyan] [bold]{escape(title)}[/bold]")
        if not self._console.is_terminal:
            yield Step(self._console, None)
            return
        with self._console.status("") as status:
            yield Step(self._console, status)

    def studies(self, snapshot: Snapshot, uids: Sequence[str], *, show_patients: bool) -> None:
        """The studies in FHIR, in this order; whom they are of only where that is asked for."""
        table = Table(title="Studies in FHIR", title_justify="left", title_style="bold")
        table.add_column("study (Study Instance UID)", overflow="fold")
        for name in ("resource", "modality", "started"):
            table.add_column(name)
        for name in ("series", "instances", "version"):
            table.add_column(name, justify="right")
        if show_patients:
            table.add_column("patient")
        for uid in uids:
            seen = snapshot.studies.get(uid)
            if seen is None:
                continue
            counts = (str(seen.series), str(seen.instances), str(seen.version))
            whom = (snapshot.patients.get(seen.patient, ""),) if show_patients else ()
            cells = (uid, seen.resource, seen.modality, seen.started or "–", *counts, *whom)
            table.add_row(*(escape(cell) for cell in cells))
        self._console.print(table, soft_wrap=False)

    def failure(self, text: str, log: Mapping[str, Sequence[str]]) -> None:
        """Why the demo ends, and the last lines of the part that failed."""
        self._errors.print(f"[bold red]error:[/bold red] {escape(text)}")
        for name, lines in log.items():
            self._errors.print(f"last lines of {name}:", markup=False)
            for line in lines or ["(nothing)"]:
                self._errors.print(f"    {line}", markup=False)
