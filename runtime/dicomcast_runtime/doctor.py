"""What `doctor` looks at: checks as values, made in order; which failed, which were passed over, and the exit code.

A check fails as a process would end: with a StopError, whose text holds the way out and whose kind is the exit code.
Nothing here talks to anything; what a check asks, its own module asks.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from .errors import StopError
from .exit_codes import ExitCode
from .logs import raised_at

__all__ = [
    "Check",
    "Finding",
    "NotAskedError",
    "Outcome",
    "Verdict",
    "document",
    "doubtful",
    "examine",
    "exit_code_of",
    "failed",
    "line",
]


class Verdict(StrEnum):
    """How a check came out: an API, in the text and in the JSON."""

    OK = "ok"
    WARNING = "warning"
    """It works now; the text says what may come of it."""
    FAILED = "FAILED"
    SKIPPED = "skipped"
    """It was not asked: a check that it needs did not pass, or it cannot be asked without writing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check that passes has to say."""

    text: str
    doubts: tuple[str, ...] = ()
    """What works now and may not go on like that, each with the way out: makes it a warning."""


def doubtful(text: str) -> Finding:
    """A finding that is a warning."""
    return Finding("", (text,))


class NotAskedError(Exception):
    """The check cannot be made without writing, or there is nothing to make it on; its text says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at. `look` only reads; it raises StopError with the way out, or NotAskedError."""

    name: str
    look: Callable[[], Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    """Names of checks before it without which it would say nothing of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one check came out."""

    name: str
    verdict: Verdict
    text: str
    exit_code: ExitCode = ExitCode.OK


async def examine(checks: Iterable[Check]) -> AsyncIterator[Outcome]:
    """Makes the checks one after another; each outcome as soon as it is there."""
    passed: set[str] = set()
    for check in checks:
        missing = [name for name in check.needs if name not in passed]
        if missing:
            outcome = Outcome(name=check.name, verdict=Verdict.SKIPPED, text=f"it needs {' and '.join(missing)}")
        else:
            outcome = await _made(check)
        if outcome.verdict in (Verdict.OK, Verdict.WARNING):
            passed.add(check.name)
        yield outcome


async def _made(check: Check) -> Outcome:
    try:
        found = await check.look()
    except NotAskedError as error:
        return Outcome(name=check.name, verdict=Verdict.SKIPPED, text=_one_line(str(error)))
    except StopError as error:
        return failed(check.name, error)
    except Exception as error:  # its text is unknown, and may hold a patient's data
        text = f"{type(error).__name__} at {raised_at(error)}: this is a bug, please report it"
        return Outcome(name=check.name, verdict=Verdict.FAILED, text=text, exit_code=ExitCode.WATCHDOG)
    verdict = Verdict.WARNING if found.doubts else Verdict.OK
    return Outcome(name=check.name, verdict=verdict, text=_one_line("; ".join((*found.doubts,) or (found.text,))))


def failed(name: str, error: StopError) -> Outcome:
    """The outcome of a check that ended in `error`."""
    return Outcome(name=name, verdict=Verdict.FAILED, text=_one_line(str(error)), exit_code=error.exit_code)


def exit_code_of(outcomes: Iterable[Outcome]) -> ExitCode:
    """That of the first check that failed; OK without one, whatever the warnings."""
    return next((one.exit_code for one in outcomes if one.verdict is Verdict.FAILED), ExitCode.OK)


def line(outcome: Outcome) -> str:
    """One line for a person, such as `FAILED:  topic: the topic dicom.changes.v1 does not exist: …`."""
    return f"{outcome.verdict + ':':<8} {outcome.name}: {outcome.text}"


def document(command: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The whole for machines: command, ok, exit_code, and of each check name, verdict, text and exit_code."""
    code = exit_code_of(outcomes)
    checks = [
        {"name": one.name, "verdict": one.verdict.value, "text": one.text, "exit_code": int(one.exit_code)}
        for one in outcomes
    ]
    return {"command": command, "ok": code is ExitCode.OK, "exit_code": int(code), "checks": checks}


def _one_line(text: str) -> str:
    """A list of problems under a heading becomes `heading: problem; problem`."""
    head, *items = text.split("\n  - ")
    return " ".join((f"{head} {'; '.join(items)}" if items else head).split())
