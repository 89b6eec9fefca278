"""Whether the FHIR server is worth asking. Pure: the caller brings the clock.

Several transient failures in a row over at least two studies are an outage, not a study's misfortune: everything waits,
and one real request at a time tries whether it is over, at growing intervals (G4).
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
        self._failed: list[bytes] = []
        self._opened = 0
        self._until_s = 0.0
        self.state = BreakerState.CLOSED

    def delay_s(self, now_s: float) -> float | None:
        """0 when a request may go now, else seconds to wait; None while another request is the probe.

        When it answers 0 in the open state, the caller is the probe and must report success or failure.
        """
        if self.state is BreakerState.CLOSED:
            return 0.0
        if self.state is BreakerState.HALF_OPEN:
            return None
        if now_s < self._until_s:
            return self._until_s - now_s
        self.state = BreakerState.HALF_OPEN
        return 0.0

    def succeeded(self) -> None:
        """Any answer of a server that works."""
        self._failed.clear()
        self._opened = 0
        self.state = BreakerState.CLOSED

    def failed(self, lane: bytes, now_s: float) -> None:
        """A transient failure of a study's request."""
        self._failed.append(lane)
        probe_failed = self.state is BreakerState.HALF_OPEN
        outage = len(self._failed) >= self._limit and len(set(self._failed)) >= self._studies
        del self._failed[: -self._limit * 4]
        if probe_failed or (outage and self.state is BreakerState.CLOSED):
            self.trip(now_s)

    def trip(self, now_s: float) -> None:
        """Opens at once: the answer concerns every study (403, wrong URL)."""
        self.state = BreakerState.OPEN
        self._until_s = now_s + full_jitter(
            self._opened, least_s=self._least_s, most_s=self._most_s, uniform=self._uniform
        )
        self._opened += 1

    def abandoned(self, now_s: float) -> None:
        """The probe ended without an answer (cancelled): let another one try."""
        if self.state is BreakerState.HALF_OPEN:
            self.state = BreakerState.OPEN
            self._until_s = now_s
