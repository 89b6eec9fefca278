"""Commits and what they prove.

A commit is asynchronous, answered by the coordinator or given up after a deadline; one is under way at a time. It
serves two ends: it moves the group's offsets on, and it proves that this member still owns its partitions. A write to
FHIR is preceded by the proof that a commit of its partition, begun after the study was read, was accepted in the same
assignment: a member that was frozen past its session learns here that it has been replaced, before it writes.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from .errors import NotProvenError

__all__ = ["CommitSink", "Commits"]

_DEADLINE_S: Final = 10.0


class CommitSink(Protocol):
    """Where commits go: the Kafka thread."""

    def commit(self, token: int, offsets: Mapping[int, int]) -> None:
        """Commits offsets; the answer comes with the token."""


class Commits:
    """The commits of one member, in its event loop."""

    def __init__(self, *, sink: CommitSink, offsets: Callable[[], Mapping[int, int]]) -> None:
        """`offsets`: what may be committed now, of every assigned partition."""
        self._sink = sink
        self._offsets = offsets
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._under_way: list[tuple[int, asyncio.Future[None]]] = []
        self._sent: Mapping[int, int] = {}
        self._committed: dict[int, int] = {}
        self._token = 0
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def due(self) -> bool:
        """Whether something may be committed that is not."""
        return any(self._committed.get(p) != offset for p, offset in self._offsets().items())

    async def prove(self, partition: int) -> None:
        """Returns once a commit of the partition, begun after this call, was accepted. Raises NotProvenError."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((partition, future))
        self.begin()
        await future

    def begin(self) -> bool:
        """Starts a commit unless one is under way (then those who wait are served by the next)."""
        if self._deadline is not None:
            return False
        self._token += 1
        self._sent = dict(self._offsets())
        self._under_way, self._waiting = self._waiting, []
        self._deadline = asyncio.get_running_loop().call_later(_DEADLINE_S, self.answer, self._token, "no answer")
        self._sink.commit(self._token, self._sent)
        return True

    def answer(self, token: int, error: str | None) -> None:
        """Takes the coordinator's answer; an answer to a commit that was given up is ignored."""
        if token != self._token or self._deadline is None:
            return
        self._deadline.cancel()
        self._deadline = None
        if error is None:
            self._committed.update(self._sent)
        for partition, future in self._under_way:
            _settle(future, error if partition in self._sent else "the partition is not assigned")
        self._under_way = []
        if self._waiting:
            self.begin()

    def forget(self, partition: int) -> None:
        """The assignment of the partition is over: nobody in it is proven any more."""
        self._committed.pop(partition, None)
        for waiting in (self._waiting, self._under_way):
            for entry in [entry for entry in waiting if entry[0] == partition]:
                waiting.remove(entry)
                _settle(entry[1], "the partition was revoked")

    @property
    def idle(self) -> bool:
        """Whether no commit is under way."""
        return self._deadline is None


def _settle(future: asyncio.Future[None], error: str | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(NotProvenError(error))
