"""How long to wait before the next try: full jitter, and what the server asks for."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["Backoff", "retry_after_s"]

_FIRST_S: Final = 0.5
_MOST_S: Final = 60.0
_MOST_ASKED_S: Final = 600.0
"""A Retry-After beyond this is cut: a person who mends the server should not have to restart the producer as well."""


class Backoff:
    """Waits that double from 0.5 s to 60 s, each drawn between zero and that ("full jitter")."""

    def __init__(self, *, first_s: float = _FIRST_S, most_s: float = _MOST_S) -> None:
        self._next_s = first_s
        self._most_s = most_s

    def wait_s(self, asked_s: float | None = None) -> float:
        """The next wait; never less than what the server asked for."""
        drawn = random.uniform(0.0, self._next_s)  # noqa: S311  no secret depends on it
        self._next_s = min(self._next_s * 2, self._most_s)
        return max(drawn, min(asked_s or 0.0, _MOST_ASKED_S))


def retry_after_s(value: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110 10.2.3: seconds or a date); None when absent or unreadable."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
