"""What the producer counts, for Prometheus. No UID and no patient's value is ever a label."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from dicomcast_runtime.http_metrics import RequestMetrics
from dicomcast_schemas import Action
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .entry import FeedEntry
from .position import Position

__all__ = ["ProducerMetrics"]

_SECONDS: Final = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)


class ProducerMetrics:
    """The metrics of one producer, in a registry of its own. docs/metrics.md is tested against them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        registry = self.registry
        self.requests = RequestMetrics("dicomcast_feed", "DICOM server", registry)
        self._latest = Gauge("dicomcast_feed_latest_sequence", "Newest sequence of the feed.", registry=registry)
        self._cursor = Gauge("dicomcast_feed_cursor_sequence", "Last sequence on the topic.", registry=registry)
        self._lag = Gauge(
            "dicomcast_feed_lag_events", "Sequences of the feed that are not on the topic yet.", registry=registry
        )
        self._lag_s = Gauge(
            "dicomcast_feed_lag_seconds",
            "Feed time from the last entry on the topic to the newest one, plus the time since that was first seen.",
            registry=registry,
        )
        self._events = Counter(
            "dicomcast_feed_events", "Events committed to the topic, by action.", ("action",), registry=registry
        )
        self._bare = Counter(
            "dicomcast_feed_events_without_metadata",
            "Events committed without the metadata that they should have, by reason.",
            ("reason",),
            registry=registry,
        )
        self._transactions = Histogram(
            "dicomcast_transaction_duration_seconds",
            "Time of a committed transaction, waits for Kafka included.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._waiting = Gauge(
            "dicomcast_waiting", "1 while this peer is waited for (feed, kafka).", ("peer",), registry=registry
        )
        self._newest: FeedEntry | None = None
        self._seen_at_s = time.monotonic()
        self._position = Position(sequence=0)
        self._behind_since_s: float | None = None
        """When the clock (time.monotonic) would have shown no lag; None when there is none."""
        self._lag_s.set_function(self._late_s)
        self.watch_waiting(lambda _: None)

    def watch_waiting(self, waiting_for: Callable[[str], str | None]) -> None:
        """Why a peer (feed, kafka) is waited for, None when it is not: asked when it is scraped."""
        for peer in ("feed", "kafka"):
            self._waiting.labels(peer).set_function(partial(_is_waiting, waiting_for, peer))

    def note_latest(self, entry: FeedEntry | None) -> None:
        """The feed's newest entry was read."""
        if _sequence(entry) != _sequence(self._newest):
            self._seen_at_s = time.monotonic()
        self._newest = entry
        self._latest.set(_sequence(entry))
        self._note_lag()

    def note_position(self, position: Position) -> None:
        """Everything up to the position is on the topic."""
        self._position = position
        self._cursor.set(position.sequence)
        self._note_lag()

    def note_transaction(self, took_s: float) -> None:
        """One was committed."""
        self._transactions.observe(took_s)

    def note_event(self, action: Action, *, without_metadata: str | None) -> None:
        """It was committed. `without_metadata`: why it lacks the metadata that it should have."""
        self._events.labels(action.value).inc()
        if without_metadata:
            self._bare.labels(without_metadata).inc()

    def _note_lag(self) -> None:
        newest, last = self._newest, self._position.last
        behind = max(0, _sequence(newest) - self._position.sequence)
        self._lag.set(behind)
        late_s = (newest.event.timestamp - last.timestamp).total_seconds() if newest and last else 0.0
        self._behind_since_s = self._seen_at_s - max(0.0, late_s) if behind else None

    def _late_s(self) -> float:
        """With the clock while nothing happens: what waits for Kafka grows old, and the feed may not be asked then."""
        since_s = self._behind_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s


def _sequence(entry: FeedEntry | None) -> int:
    return entry.event.sequence if entry else 0


def _is_waiting(waiting_for: Callable[[str], str | None], peer: str) -> float:
    return float(waiting_for(peer) is not None)
