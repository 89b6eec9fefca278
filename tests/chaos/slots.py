"""The processes of a chaos run: each may be killed, frozen and ended, and is started again."""

import re
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.fakes.processes import Line, Running, eventually

__all__ = ["Slot"]

_STARTED = re.compile(rb"event=\S*started")
_RIGHT_CODES = {0, 69, 70, 75, -signal.SIGKILL}
"""0 drained, 69 a dependency stayed away, 70 stuck, 75 fenced: a supervisor starts it again, and so does this one."""


@dataclass(slots=True, kw_only=True)
class Slot:
    """A place for one process. `lock` is held by whoever troubles it."""

    name: str
    line: Line
    folder: Path
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    """Where it answers once it is ready, for a server."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    running: Running | None = None
    _begins_at: int = 0
    exits: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    """What a process of it did that it must not."""

    @property
    def log(self) -> Path:
        """What its processes wrote, one after the other."""
        return self.folder / f"{self.name}.log"

    @property
    def text(self) -> str:
        """The same, as far as it is written."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def start(self) -> None:
        """Starts a process; returns at once."""
        self._begins_at = self.log.stat().st_size if self.log.exists() else 0
        self.running = self.line.spawn(self.log, *self.command, env=self.env)

    def start_ready(self) -> None:
        """Starts a process and waits until it is ready."""
        self.start()
        self.wait_ready()

    def wait_ready(self) -> None:
        """Returns when a server answers, another process says that it has started, or it has ended."""
        eventually(self._is_ready, lambda: f"{self.name} does not get ready: {self.log}", within_s=180)

    def _is_ready(self) -> bool:
        if self.running is None or self.running.process.poll() is not None:
            return True
        if not self.url:
            return _STARTED.search(self.log.read_bytes()[self._begins_at :]) is not None
        try:
            return httpx.get(self.url, timeout=5).status_code < 500
        except httpx.TransportError:
            return False

    def kill(self) -> None:
        """kill -9."""
        if self.running is not None:
            self.running.process.send_signal(signal.SIGCONT)
            self.running.kill()
            self._ended(expected={-signal.SIGKILL, *_RIGHT_CODES})

    def freeze(self) -> None:
        """SIGSTOP."""
        if self.running is not None:
            self.running.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        if self.running is not None:
            self.running.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM; it has a minute to drain."""
        if self.running is None:
            return
        try:
            self.running.stop()
        except subprocess.TimeoutExpired:
            self.faults.append(f"{self.name} did not end within a minute of SIGTERM")
            self.kill()
            return
        self._ended(expected={-signal.SIGTERM, *_RIGHT_CODES})

    def revive(self) -> None:
        """Starts it again when it has ended by itself."""
        if self.running is None or self.running.process.poll() is not None:
            self._ended(expected=_RIGHT_CODES)
            self.start()

    def _ended(self, *, expected: set[int]) -> None:
        if self.running is None:
            return
        code = self.running.process.returncode
        self.running = None
        self.exits[f"{self.command[0]}: {code}"] += 1
        if code not in expected:
            self.faults.append(f"{self.name} ended with {code}: {self.log}")
