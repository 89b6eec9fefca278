"""How long to wait before the next try: full jitter that grows, and what the server asks for."""

import random
from typing import Final

from dicomcast_runtime.backoff import full_jitter

__all__ = ["Backoff"]

_FIRST_S: Final = 0.5
_MOST_S: Final = 60.0
_MOST_ASKED_S: Final = 600.0
"""A Retry-After beyond this is cut: a person who mends the server should not have to restart the producer as well."""


class Backoff:
    """Waits whose bound doubles from 0.5 s to 60 s, each drawn below it ("full jitter")."""

    def __init__(self, *, first_s: float = _FIRST_S, most_s: float = _MOST_S) -> None:
        self._least_s = first_s / 2
        self._most_s = most_s
        self._attempt = 0

    def wait_s(self, asked_s: float | None = None) -> float:
        """The next wait; never less than what the server asked for."""
        drawn = full_jitter(self._attempt, least_s=self._least_s, most_s=self._most_s, uniform=random.uniform)
        self._attempt += 1
        return max(drawn, min(asked_s or 0.0, _MOST_ASKED_S))
