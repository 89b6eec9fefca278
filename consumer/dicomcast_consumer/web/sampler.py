"""The thread that looks at the group every few seconds, whether or not anybody looks at the page."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Final

import httpx
import structlog
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.logs import raised_at

from ..dlq_done import KeptLetter
from ..status import GroupStatus
from .history import kept, sample_of
from .letters_view import by_code
from .members import MemberView, away, member_view
from .overview import Snapshot

__all__ = ["Sampler", "ask_members"]

_MEMBER_S: Final = 2.0
_MOST_BYTES: Final = 2_000_000

_log = structlog.get_logger()


class Sampler:
    """Looks for the `with` block. `seen` is what it found last, a value that other threads may read."""

    def __init__(
        self,
        *,
        status: Callable[[], GroupStatus],
        members: Callable[[], tuple[MemberView, ...]],
        letters: Callable[[], Sequence[KeptLetter]],
        every_s: float,
    ) -> None:
        self._status = status
        self._members = members
        self._letters = letters
        self._every_s = every_s
        self._ended = threading.Event()
        self.seen = Snapshot()

    def __enter__(self) -> "Sampler":
        threading.Thread(target=self._run, name="sampler", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()

    def look(self) -> None:
        """Once. Raises nothing: what goes wrong is part of what was seen."""
        self.seen = replace(self.seen, members=self._members())
        try:
            status, at_s = self._status(), time.time()
            self.seen = replace(
                self.seen,
                at=datetime.fromtimestamp(at_s, UTC),
                status=status,
                fault=None,
                samples=kept(self.seen.samples, sample_of(status, at_s)),
            )
            self._count_letters()
        except StopError as error:
            self.seen = replace(self.seen, fault=str(error))
        except Exception as error:  # a defect must not end the sampling; its text may hold anything
            where = f"{type(error).__name__} at {raised_at(error)}"
            _log.error("web.defect", reason=where)
            self.seen = replace(self.seen, fault=f"{where}: this is a bug, please report it")

    def _count_letters(self) -> None:
        """Without a dead-letter topic there are none to count, and `status` has said all that is known."""
        if self.seen.status is None or self.seen.status.dead_letters is None:
            self.seen = replace(self.seen, pending=None, reasons=())
            return
        pending = [each for each in self._letters() if each.pending]
        self.seen = replace(self.seen, pending=len(pending), reasons=tuple(by_code(pending)))

    def _run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(self._every_s)


def ask_members(urls: Sequence[str]) -> tuple[MemberView, ...]:
    """What the members say, each asked for a short time. Redirects are not followed and no proxy is asked."""
    if not urls:
        return ()
    with httpx.Client(timeout=_MEMBER_S, trust_env=False, follow_redirects=False) as client:
        return tuple(_ask(client, url.rstrip("/")) for url in urls)


def _ask(client: httpx.Client, url: str) -> MemberView:
    try:
        metrics = _text(client, f"{url}/metrics")
        return member_view(url, metrics=metrics, ready=_text(client, f"{url}/readyz"))
    except httpx.HTTPError as error:
        return away(url, f"no answer ({type(error).__name__})")


def _text(client: httpx.Client, url: str) -> str:
    body = bytearray()
    with client.stream("GET", url, headers={"Accept": "text/plain"}) as answer:
        for part in answer.iter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise httpx.DecodingError("the answer is too large")
    return body.decode("utf-8", "replace")
