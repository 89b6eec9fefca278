"""What the producer counts, for Prometheus. No UID and no patient's value is ever a label."""

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
            "Feed time between the newest entry and the last one on the topic.",
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
        self._position = Position(sequence=0)
        for peer in ("feed", "kafka"):
            self._waiting.labels(peer).set(0)

    def note_latest(self, entry: FeedEntry | None) -> None:
        """The feed's newest entry was read."""
        self._newest = entry
        self._latest.set(entry.event.sequence if entry else 0)
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

    def note_waiting(self, peer: str, *, waiting: bool) -> None:
        """Whether the peer (feed, kafka) is waited for."""
        self._waiting.labels(peer).set(waiting)

    def _note_lag(self) -> None:
        newest, last = self._newest, self._position.last
        behind = max(0, newest.event.sequence - self._position.sequence) if newest else 0
        self._lag.set(behind)
        late_s = (newest.event.timestamp - last.timestamp).total_seconds() if newest and last and behind else 0.0
        self._lag_s.set(max(0.0, late_s))
