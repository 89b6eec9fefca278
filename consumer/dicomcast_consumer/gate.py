"""The breaker as a gate that the attempts of all studies pass."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import structlog

from .breaker import Breaker, BreakerState
from .errors import RetryableError, SystemicError

__all__ = ["Gate"]

log = structlog.get_logger("dicomcast.fhir")


class Gate:
    """Lets attempts through while the FHIR server works; one at a time while it is being tried."""

    def __init__(self, breaker: Breaker) -> None:
        self._breaker = breaker
        self._changed = asyncio.Event()
        self._reason = ""

    @property
    def state(self) -> BreakerState:
        """Closed while the FHIR server works."""
        return self._breaker.state

    @contextlib.asynccontextmanager
    async def attempt(self, lane: bytes) -> AsyncIterator[None]:
        """Waits until a request may go; the block is one attempt. A RetryableError or SystemicError that leaves it
        counts against the server, anything else (also a rejection) is the answer of a server that works."""
        await self._enter()
        before = self._breaker.state
        try:
            yield
        except SystemicError as error:
            self._breaker.trip(time.monotonic())
            self._note(before, str(error))
            raise
        except RetryableError as error:
            self._breaker.failed(lane, time.monotonic())
            self._note(before, str(error))
            raise
        except asyncio.CancelledError:
            self._breaker.abandoned(time.monotonic())
            self._note(before, "")
            raise
        except BaseException:
            self._breaker.succeeded()
            self._note(before, "")
            raise
        else:
            self._breaker.succeeded()
            self._note(before, "")

    async def _enter(self) -> None:
        while (delay_s := self._breaker.delay_s(time.monotonic())) != 0:
            changed = self._changed
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), delay_s)

    def _note(self, before: BreakerState, reason: str) -> None:
        after = self._breaker.state
        if before is not after:
            if after is BreakerState.OPEN and reason != self._reason:
                log.error("breaker open: everything waits, nothing is lost", reason=reason)
                self._reason = reason
            if after is BreakerState.CLOSED:
                log.info("breaker closed: the FHIR server works again")
                self._reason = ""
        self._changed.set()
        self._changed = asyncio.Event()
