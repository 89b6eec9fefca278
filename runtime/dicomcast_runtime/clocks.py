"""Whether a server's clock agrees with ours: by the Date header of its answers (RFC 9110 6.6.1), or a time it tells."""

import email.utils
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx

from .doctor import Finding, NotAskedError, doubtful

__all__ = ["TOLERANCE", "HttpClock", "broker_clock_finding", "clock_finding"]

TOLERANCE: Final = timedelta(seconds=5)
"""What is said nothing about: a Date header has whole seconds, and an answer takes its time."""


class HttpClock:
    """The clock of an HTTP peer, seen in the answers to requests that are made anyway."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._now = now
        self._asked_at: datetime | None = None
        self.ahead: timedelta | None = None
        """How far the peer's clock is ahead of ours, by its last answer with a Date; None before one."""

    def watch(self, client: httpx.AsyncClient) -> None:
        """Looks at the client's answers from now on."""
        client.event_hooks["request"].append(self._note_request)
        client.event_hooks["response"].append(self._note_response)

    async def _note_request(self, request: httpx.Request) -> None:
        self._asked_at = self._now()

    async def _note_response(self, response: httpx.Response) -> None:
        came_at = self._now()
        asked_at = self._asked_at or came_at
        try:
            told = email.utils.parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        # Between request and answer, and cut to a whole second: the middle of each is the best guess.
        middle = asked_at + (came_at - asked_at) / 2
        self.ahead = told + timedelta(seconds=0.5) - middle


def clock_finding(whose: str, ahead: timedelta | None, *, suffers: str) -> Finding:
    """What a difference means. `whose`: such as `the FHIR server`; `suffers`: what goes wrong with clocks apart.

    Raises NotAskedError when the time is not told.
    """
    if ahead is None:
        raise NotAskedError(f"{whose} does not tell the time")
    if abs(ahead) <= TOLERANCE:
        return Finding(f"{whose} and this machine differ by less than {TOLERANCE.seconds} s")
    side = "ahead of" if ahead > timedelta(0) else "behind"
    seconds = abs(ahead).total_seconds()
    return doubtful(f"the clock of {whose} is {seconds:.0f} s {side} this machine's: {suffers}; set both by NTP")


def broker_clock_finding(newest: datetime | None, now: datetime) -> Finding:
    """What the newest record says: Kafka tells no time but that of records' arrival, so only a clock ahead is seen.

    Raises NotAskedError without one.
    """
    if newest is None:
        raise NotAskedError("there is no record to tell the time by, or the brokers do not tell of it")
    if newest - now <= TOLERANCE:
        return Finding("no record has come from the future; Kafka tells no other time")
    return clock_finding("Kafka", newest - now, suffers="ages of records and `replay --to` a time are off by it")
