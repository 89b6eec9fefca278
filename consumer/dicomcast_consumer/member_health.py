"""What the probes of a member look at.

The checks run in the HTTP port's thread: they read values that are replaced as a whole, never a structure that changes.
"""

from collections.abc import Callable

from dicomcast_runtime.health import Check, Health, LoopBeat, beats_within

from .gate import Gate
from .source import Source
from .worker import Worker

__all__ = ["MemberHealth"]


class MemberHealth:
    """From the start of the process on; `watch` once there is a member."""

    def __init__(self, beat: LoopBeat, *, beat_limit_s: float) -> None:
        """`beat_limit_s`: how long a loop may be silent before a restart helps."""
        self._beat = beat
        self._beat_limit_s = beat_limit_s
        self._parts: tuple[Source, Worker, Gate] | None = None

    def watch(self, *, source: Source, worker: Worker, gate: Gate) -> None:
        """The member's parts are there."""
        self._parts = source, worker, gate

    def checks(self) -> Health:
        """Alive: both loops go round. Ready: in the group, breaker closed, nothing stopped. Started: in the group."""
        return Health(
            alive={"event loop": self._loop_beats, "kafka thread": self._thread_beats},
            ready={"kafka": self._in_group, "fhir": self._fhir_works, "partitions": self._nothing_stopped},
            started={"kafka": self._in_group},
        )

    def _loop_beats(self) -> str | None:
        return self._within(lambda: self._beat.at_s)()

    def _thread_beats(self) -> str | None:
        parts = self._parts
        return None if parts is None else self._within(lambda: parts[0].polled_at_s)()

    def _within(self, at_s: Callable[[], float]) -> Check:
        return beats_within(self._beat_limit_s, at_s)

    def _in_group(self) -> str | None:
        if self._parts is None:
            return "the FHIR server is waited for before the group is joined"
        stats = self._parts[0].stats
        if stats is None:
            return "it has not been asked yet"
        if not stats.broker_up:
            return "no broker answers"
        return None if stats.in_group else "the group is being joined or rebalanced"

    def _fhir_works(self) -> str | None:
        return "it has not answered yet" if self._parts is None else self._parts[2].closed_by

    def _nothing_stopped(self) -> str | None:
        stopped = {} if self._parts is None else self._parts[1].state.stopped
        return "; ".join(f"{partition} stopped: {why}" for partition, why in sorted(stopped.items())) or None
