"""What a process says of itself to a platform: alive, ready, started.

After the probes of Kubernetes: alive says whether ending the process would help (a loop that no longer goes round),
ready whether it does its work now (a peer that is away shows here, and only here), started whether it has begun.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Check", "Health", "LoopBeat", "Report", "beats_within"]

Check = Callable[[], str | None]
"""None when all is well, else why not, in a few words. Called from another thread: it only reads."""


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of some checks, in the form of Kubernetes' own `/readyz?verbose`."""

    faults: Mapping[str, str | None]
    """Name of each check → what is wrong, or None."""

    @property
    def ok(self) -> bool:
        """Whether every check found all well."""
        return not any(self.faults.values())

    def __str__(self) -> str:
        lines = [f"[-] {name}: {fault}" if fault else f"[+] {name}" for name, fault in self.faults.items()]
        return "\n".join([*lines, "ok" if self.ok else "failed"]) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The checks of one process, by name."""

    alive: Mapping[str, Check]
    ready: Mapping[str, Check]
    started: Mapping[str, Check]

    def report(self, checks: Mapping[str, Check]) -> Report:
        """Makes each check, in order."""
        return Report({name: check() for name, check in checks.items()})


def beats_within(limit_s: float, beat_at_s: Callable[[], float]) -> Check:
    """A check that something was last seen alive (time.monotonic) at most `limit_s` ago."""

    def check() -> str | None:
        silent_s = time.monotonic() - beat_at_s()
        return f"silent for {silent_s:.0f} s" if silent_s > limit_s else None

    return check


class LoopBeat:
    """Whether the event loop goes round: a task that does nothing else, for the `async with` block."""

    def __init__(self, every_s: float = 1.0) -> None:
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None
        self.at_s = time.monotonic()
        """When it last went round."""

    async def __aenter__(self) -> "LoopBeat":
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _beat(self) -> None:
        while True:
            self.at_s = time.monotonic()
            await asyncio.sleep(self._every_s)
