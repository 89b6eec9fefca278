"""The loop's side of dead letters: sent until acknowledged."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from dicomcast_runtime.backoff import full_jitter

from .dead_letter import Letter, letter_headers
from .errors import RejectedError
from .record import Record

__all__ = ["LetterSink", "Outbox"]

log = structlog.get_logger("dicomcast.dead_letter")


class LetterSink(Protocol):
    """Where letters go: the Kafka thread."""

    def dead_letter(self, token: int, letter: Letter) -> None:
        """Produces a letter; the answer comes with the token."""


class Outbox:
    """Sends dead letters. A letter that the broker refuses holds its study and the offset, never the truth."""

    def __init__(
        self,
        *,
        sink: LetterSink,
        answer: Callable[[int], Awaitable[str | None]],
        group: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        least_wait_s: float = 0.5,
    ) -> None:
        """`answer` waits for the broker's answer to a token."""
        self._sink = sink
        self._answer = answer
        self._group = group
        self._now = now
        self._least_wait_s = least_wait_s
        self._tokens = itertools.count(1)

    async def send(self, record: Record, error: RejectedError) -> None:
        """Returns once the letter is acknowledged."""
        headers = letter_headers(record, error, group=self._group, failed_at=self._now())
        letter = Letter(record=record, headers=headers)
        for attempt in itertools.count():
            token = next(self._tokens)
            self._sink.dead_letter(token, letter)
            refused = await self._answer(token)
            if refused is None:
                break
            log.error(
                "dead_letter.refused",
                error=refused,
                partition=record.partition,
                offset=record.offset,
            )
            await asyncio.sleep(full_jitter(attempt, least_s=self._least_wait_s, most_s=60.0, uniform=random.uniform))
        log.warning(
            "dead_letter.sent",
            reason=error.reason,
            code=error.code,
            partition=record.partition,
            offset=record.offset,
        )
