"""Ends a process of which a thread is stuck: a supervisor starts it again, and the feed goes on."""

import os
import threading
import time
from collections.abc import Callable, Mapping

import structlog

from .exit_codes import ExitCode

__all__ = ["Watchdog"]

log = structlog.get_logger("dicomcast.watchdog")


class Watchdog:
    """A thread that looks at the beats of the others."""

    def __init__(self, beats: Mapping[str, Callable[[], float]], *, limit_s: float, every_s: float = 1.0) -> None:
        """`beats`: by name, when each was last seen alive (time.monotonic)."""
        self._beats = beats
        self._limit_s = limit_s
        self._every_s = every_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begins to look."""
        self._thread.start()

    def end(self) -> None:
        """Looks no more."""
        self._ended.set()

    def _run(self) -> None:
        looked_at_s = time.monotonic()
        while not self._ended.wait(self._every_s):
            now_s = time.monotonic()
            if now_s - looked_at_s > self._limit_s / 2:
                looked_at_s = now_s
                continue  # the whole process was stopped (SIGSTOP, a suspended machine): give the others a turn first
            looked_at_s = now_s
            for name, beat in self._beats.items():
                if now_s - beat() > self._limit_s:
                    log.critical("watchdog.stuck", what=name, silent_s=round(now_s - beat()))
                    os._exit(ExitCode.WATCHDOG)
