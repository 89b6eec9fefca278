"""The command behind `doctor`: a line for each check as soon as it is made, or one JSON object at the end."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import orjson
import typer

from .doctor import Check, Finding, Outcome, Verdict, document, examine, exit_code_of, failed, line
from .errors import ConfigurationError
from .settings import ENV_PREFIX, ProcessSettings, load_settings

__all__ = ["run_doctor", "settings_check"]

S = TypeVar("S", bound=ProcessSettings)

Checks = Callable[[S, contextlib.AsyncExitStack], Iterable[Check]]
"""All checks of a process by its settings; the stack closes what they open."""


def run_doctor(command: str, settings: type[S], checks: Checks[S], *, config: Path | None, json: bool) -> None:
    """Makes all checks and prints them. Raises typer.Exit with the code of the first that failed, or 0."""
    tell: Callable[[Outcome], None] = (lambda _: None) if json else (lambda outcome: typer.echo(line(outcome)))
    try:
        loaded = load_settings(settings, config=config)
    except ConfigurationError as error:
        outcomes = [failed("settings", error)]
        tell(outcomes[0])
    else:
        outcomes = asyncio.run(_examined(loaded, checks, tell))
    typer.echo(orjson.dumps(document(command, outcomes)).decode() if json else _summary(outcomes))
    raise typer.Exit(exit_code_of(outcomes))


def settings_check(doubts: Sequence[str], *, config: Path | None) -> Check:
    """The check `settings`, which the others need: they were read, or there would be no other check."""

    async def look() -> Finding:
        count = sum(name.startswith(ENV_PREFIX) for name in os.environ)
        file = f" and the file {config}" if config else ""
        return Finding(f"read from {count} variables {ENV_PREFIX}…{file}", tuple(doubts))

    return Check(name="settings", look=look)


async def _examined(settings: S, checks: Checks[S], tell: Callable[[Outcome], None]) -> list[Outcome]:
    outcomes = []
    async with contextlib.AsyncExitStack() as stack:
        async for outcome in examine(checks(settings, stack)):
            outcomes.append(outcome)
            tell(outcome)
    return outcomes


def _summary(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.verdict for outcome in outcomes)
    found = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
    return f"checks: {found}"
