"""The loop's side of dead letters: sent until acknowledged."""

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog
from dicomcast_runtime.backoff import full_jitter

from .dead_letter import Letter, letter_headers
from .errors import RejectedError, RevokedError
from .group import Group
from .record import Record

__all__ = ["LetterSink", "Outbox"]

log = structlog.get_logger("dicomcast.dead_letter")
_SAY_EVERY: Final = 10
"""Attempts between two lines of the log."""

_WAYS_OUT: Final = {
    "UNKNOWN_TOPIC_OR_PART": "it does not exist: `dicomcast-producer topics apply` creates it",
    "_UNKNOWN_TOPIC": "it does not exist: `dicomcast-producer topics apply` creates it",
    "_UNKNOWN_PARTITION": "it has fewer partitions than the topic of changes: make it anew with as many",
    "MSG_SIZE_TOO_LARGE": "its max.message.bytes is too small: `dicomcast-producer topics apply` corrects it",
    "TOPIC_AUTHORIZATION_FAILED": "this client may not write to it: allow WRITE on the topic",
    "_MSG_TIMED_OUT": "no broker has taken it in time: Kafka, or enough of its replicas, are away",
}


class LetterSink(Protocol):
    """Where letters go: the Kafka thread."""

    def dead_letter(self, token: int, letter: Letter) -> None:
        """Produces a letter; the answer comes with the token."""


class Outbox:
    """Sends dead letters. A letter that the broker refuses holds its partition and the offset, never the truth."""

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

    async def send(self, record: Record, error: RejectedError, group: Group) -> None:
        """Returns once the letter is acknowledged; until then the group is stuck and its partition waits.

        Only an attempt counts as a write: between attempts the group may be taken away (RevokedError, cancellation).
        """
        headers = letter_headers(record, error, group=self._group, failed_at=self._now())
        letter = Letter(record=record, headers=headers)
        for attempt in itertools.count():
            with group.writing():
                token = next(self._tokens)
                self._sink.dead_letter(token, letter)
                refused = await self._answer(token)
            if refused is None:
                break
            group.stuck = True
            if attempt % _SAY_EVERY == 0:
                self._say(refused, record)
            if group.revoked:
                raise RevokedError
            await asyncio.sleep(full_jitter(attempt, least_s=self._least_wait_s, most_s=30.0, uniform=random.uniform))
        if group.stuck:
            log.info("dead_letter.taken_again", partition=record.partition, offset=record.offset)
        group.stuck = False
        log.warning(
            "dead_letter.sent",
            reason=error.reason,
            code=error.code,
            partition=record.partition,
            offset=record.offset,
        )

    @staticmethod
    def _say(refused: str, record: Record) -> None:
        log.error(
            "dead_letter.refused",
            error=refused,
            way_out=_WAYS_OUT.get(refused, "see the error's name; it goes on by itself once the letter is taken"),
            partition=record.partition,
            offset=record.offset,
        )
