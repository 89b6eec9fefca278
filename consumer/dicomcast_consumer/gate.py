"""The breaker as a gate that the attempts of all studies pass."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from typing import Final

import structlog

from .breaker import Breaker, BreakerState
from .errors import HeldError, RejectedError, RetryableError, SystemicError, UnreachableError
from .rejection_guard import RejectionGuard

__all__ = ["Gate"]

log = structlog.get_logger("dicomcast.fhir")

_NAMED_FAULTS: Final = ("fhir.multiple_matches", "fhir.unavailable")
"""Rejections that can only be the study's own fault."""


class Gate:
    """Lets attempts through while the FHIR server works; one at a time while it is being tried."""

    def __init__(self, breaker: Breaker, guard: RejectionGuard) -> None:
        self._breaker = breaker
        self._guard = guard
        self._changed = asyncio.Event()
        self._waiting = 0  # not counting those that are held
        self._reason = ""
        self._successes: OrderedDict[bytes, float] = OrderedDict()

    @property
    def closed_by(self) -> str | None:
        """Why nothing is let through; None while the FHIR server works."""
        return None if self._breaker.state is BreakerState.CLOSED else self._reason or "it is being tried"

    def others_succeed(self, lane: bytes, since_s: float) -> bool:
        """Whether another study has gone through after that time: then it is not an outage."""
        return any(at_s > since_s for other, at_s in self._successes.items() if other != lane)

    @contextlib.asynccontextmanager
    async def attempt(self, lanes: Sequence[bytes], *, held: HeldError | None = None) -> AsyncIterator[None]:
        """Waits until a request may go; the block is one attempt at a study, or at several together.

        A RetryableError or SystemicError that leaves it counts against the server, and so does a RejectedError while
        most studies are refused. That of one study then leaves as HeldError, and the caller tries it again with that
        (`held`): all others go first. That of several says nothing of any of them. Anything else is an answer of a
        server that works.
        """
        await (self._enter() if held is None else self._enter_last())
        before = self._breaker.state
        probe = self._breaker.probe  # this attempt, if there is one: any other would still wait
        reason = ""
        try:
            yield
            self._succeed(lanes)
        except RejectedError as error:
            blamed = self._blames(lanes, error, held)
            if self._guard.suspicious and not blamed:
                reason = f"most studies are refused ({error.code}): check the settings and the FHIR server"
                self._breaker.trip(time.monotonic(), probe=probe)
            else:
                self._breaker.succeeded()
            if blamed or len(lanes) > 1:
                raise
            since = self._guard.verdicts if held is None else held.since
            raise HeldError(f"refused while most studies were ({error.code})", since=since) from error
        except SystemicError as error:
            reason = str(error)
            self._breaker.trip(time.monotonic(), probe=probe)
            raise
        except RetryableError as error:
            reason = str(error)
            failed = None if isinstance(error, UnreachableError) else lanes[0]
            self._breaker.failed(failed, time.monotonic(), probe=probe)
            raise
        except asyncio.CancelledError:
            self._breaker.abandoned(time.monotonic(), probe=probe)
            raise
        except BaseException:
            self._breaker.succeeded()
            raise
        finally:
            self._note(before, reason)

    def _succeed(self, lanes: Sequence[bytes]) -> None:
        self._breaker.succeeded()
        for lane in lanes:
            self._guard.accepted(lane)
            self._successes[lane] = time.monotonic()
            self._successes.move_to_end(lane)
        while len(self._successes) > 2:  # one of two is another study's
            self._successes.popitem(last=False)

    def blames_the_study(self, lane: bytes, error: RejectedError) -> bool:
        """Notes the rejection; False when most studies are refused, so that it must not count."""
        if error.code in _NAMED_FAULTS:
            return True
        self._guard.refused(lane)
        return not self._guard.suspicious

    def _blames(self, lanes: Sequence[bytes], error: RejectedError, held: HeldError | None) -> bool:
        if len(lanes) > 1:
            return not self._guard.suspicious
        if held is None:
            return self.blames_the_study(lanes[0], error)
        return error.code in _NAMED_FAULTS or self._guard.blames(held.since)

    async def _enter(self) -> None:
        while (delay_s := self._breaker.delay_s(time.monotonic())) != 0:
            self._waiting += 1
            try:
                await self._change(delay_s)
            except asyncio.CancelledError:
                self._tell()  # who is held may have waited for this one
                raise
            finally:
                self._waiting -= 1

    async def _enter_last(self) -> None:
        while (delay_s := None if self._waiting else self._breaker.delay_s(time.monotonic())) != 0:
            await self._change(delay_s)

    async def _change(self, within_s: float | None) -> None:
        changed = self._changed
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _note(self, before: BreakerState, reason: str) -> None:
        after = self._breaker.state
        if before is not after:
            if after is BreakerState.OPEN and reason not in ("", self._reason):  # "": a probe was cancelled
                log.error("breaker.opened", reason=reason)
                self._reason = reason
            if after is BreakerState.CLOSED:
                log.info("breaker.closed")
                self._reason = ""
        self._tell()
