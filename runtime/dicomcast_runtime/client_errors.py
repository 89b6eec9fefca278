"""Why a Kafka client does not get on: what it reports beside its answers, which mostly say that time ran out."""

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError

__all__ = ["ClientErrors"]

_NO_CAUSE: Final = frozenset({KafkaError._ALL_BROKERS_DOWN})
"""Follows from others and says less than they do."""
_QUIET: Final = 2
"""syslog's "critical": librdkafka writes 20 lines a second to standard error while a broker is away."""


class ClientErrors:
    """What one client has reported. The client calls back from its own poll."""

    def __init__(self) -> None:
        self._last: KafkaError | None = None

    def config(self, client: Mapping[str, Any]) -> dict[str, Any]:
        """The client's configuration with its reports coming here, not to standard error (unless `debug` is set)."""
        quiet = {} if "debug" in client else {"log_level": _QUIET}
        return {**client, **quiet, "error_cb": self._note}

    def reason(self, error: KafkaError) -> str:
        """The error, and what was reported before it."""
        text = str(error.str())
        return text if self._last is None else f"{text} ({self._last.str()})"

    @property
    def reported(self) -> tuple[KafkaError, ...]:
        """What was reported since the last answer, if anything."""
        return () if self._last is None else (self._last,)

    def forget(self) -> None:
        """It has got an answer."""
        self._last = None

    def _note(self, error: KafkaError) -> None:
        if error.code() not in _NO_CAUSE or self._last is None:
            self._last = error
