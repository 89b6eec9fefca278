"""Whether the FHIR server is worth asking. Pure: the caller brings the clock.

Several transient failures in a row are an outage, not a study's misfortune, when they are of at least two studies, or
one of them did not reach the server at all: everything waits, and one real request at a time tries whether it is over,
at growing intervals (G4).
"""

import enum
import random
from collections.abc import Callable

from dicomcast_runtime.backoff import full_jitter

__all__ = ["Breaker", "BreakerState"]


class BreakerState(enum.Enum):
    """As in M. Nygard, Release It!: closed lets requests through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Counts transient failures since the last success."""

    def __init__(
        self,
        *,
        failures: int = 5,
        studies: int = 2,
        least_s: float = 0.5,
        most_s: float = 60.0,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._limit = failures
        self._studies = studies
        self._least_s, self._most_s, self._uniform = least_s, most_s, uniform
        self._failed: list[bytes | None] = []
        self._opened = 0
        self._until_s = 0.0
        self._probes = 0
        self.state = BreakerState.CLOSED

    @property
    def probe(self) -> int | None:
        """The number of the probe on its way; None while there is none."""
        return self._probes if self.state is BreakerState.HALF_OPEN else None

    def delay_s(self, now_s: float) -> float | None:
        """0 when a request may go now, else seconds to wait; None while another request is the probe.

        When it answers 0 in the open state, the caller is the probe: it must report success, failure or that it gave
        up, the latter two with the number that `probe` now has.
        """
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            return None
        if now_s < self._until_s:
            return self._until_s - now_s
        self.state = BreakerState.HALF_OPEN
        self._probes += 1
        return 0.0

    def succeeded(self) -> None:
        """Any answer of a server that works."""
        self._failed.clear()
        self._opened = 0
        self.state = BreakerState.CLOSED

    def failed(self, lane: bytes | None, now_s: float, *, probe: int | None = None) -> None:
        """A transient failure of a study's request; None: it reached no server, so no study is to blame."""
        self._failed.append(lane)
        failed = set(self._failed)
        outage = len(self._failed) >= self._limit and (None in failed or len(failed) >= self._studies)
        del self._failed[: -self._limit * 4]
        if outage or self._is_current(probe):
            self.trip(now_s, probe=probe)

    def trip(self, now_s: float, *, probe: int | None = None) -> None:
        """Opens at once: the answer concerns every study (403, wrong URL).

        What was on its way when it opened says nothing new: after that only the probe's failure lengthens the wait.
        """
        if self.state is not BreakerState.CLOSED and not self._is_current(probe):
            return
        self.state = BreakerState.OPEN
        self._until_s = now_s + full_jitter(
            self._opened, least_s=self._least_s, most_s=self._most_s, uniform=self._uniform
        )
        self._opened += 1

    def abandoned(self, now_s: float, *, probe: int | None) -> None:
        """A request ended without an answer (cancelled): if it was the probe, let another one try."""
        if self._is_current(probe):
            self.state = BreakerState.OPEN
            self._until_s = now_s

    def _is_current(self, probe: int | None) -> bool:
        return probe is not None and probe == self.probe
