"""What the consumer counts, for Prometheus. No UID and no patient's value is ever a label: keywords and slugs only."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from dicomcast_runtime.http_metrics import RequestMetrics
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .errors import RejectedError
from .mapping import Omission
from .member_state import KafkaStats, MemberState

__all__ = ["ConsumerMetrics"]

_AGES_S: Final = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0, 21_600.0, 86_400.0)


class ConsumerMetrics:
    """The metrics of one member, in a registry of its own. docs/metrics.md is tested against them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._left_out = Counter(
            "dicomcast_attributes_left_out",
            "Attributes that were not mapped, or with less than they had.",
            ("attribute", "reason"),
            registry=self.registry,
        )
        self._doubtful = Counter(
            "dicomcast_attributes_doubtful",
            "Attributes that were mapped though they can hardly be right.",
            ("attribute", "reason"),
            registry=self.registry,
        )
        self._passed_over = Counter(
            "dicomcast_events_passed_over",
            "Events that change nothing in FHIR, such as those that a filter excludes.",
            ("reason",),
            registry=self.registry,
        )
        self._reports = Counter(
            "dicomcast_reports",
            "Studies and Patients that a person should look at, such as patient_mismatch.",
            ("report",),
            registry=self.registry,
        )
        self._letters = Counter(
            "dicomcast_dead_letters",
            "Events that went to the dead-letter topic.",
            ("reason", "code"),
            registry=self.registry,
        )

        self._finished = Counter(
            "dicomcast_events_finished", "Events that are done with, by fate.", ("fate",), registry=self.registry
        )
        self._age = Histogram(
            "dicomcast_event_age_seconds",
            "Age of an event, by the change feed's own timestamp, when it is in FHIR.",
            buckets=_AGES_S,
            registry=self.registry,
        )
        self._conflicts = Counter(
            "dicomcast_fhir_conflicts",
            "Writes that somebody else was ahead of: read again and merged again.",
            registry=self.registry,
        )
        self._unchanged = Counter(
            "dicomcast_studies_unchanged", "Studies for whose group nothing had to be written.", registry=self.registry
        )
        self._rebalances = Counter(
            "dicomcast_rebalances",
            "Changes of this member's partitions: assigned, revoked, lost.",
            ("kind",),
            registry=self.registry,
        )
        self.fhir = RequestMetrics("dicomcast_fhir", "FHIR server", self.registry)
        self.source = RequestMetrics("dicomcast_source", "DICOM server", self.registry)
        self._lag = Gauge(
            "dicomcast_topic_lag_records",
            "Records from the committed offset to the end, of this member's partitions.",
            ("partition",),
            registry=self.registry,
        )
        self._queued = self._gauge("dicomcast_kafka_queued_records", "Records in librdkafka's own queue.")
        self._queued_bytes = self._gauge("dicomcast_kafka_queued_bytes", "Bytes in librdkafka's own queue.")

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def watch(self, state: Callable[[], MemberState], breaker_open: Callable[[], bool]) -> None:
        """Gauges of what a member is doing, read when they are scraped."""
        read: dict[str, tuple[str, Callable[[], float]]] = {
            "dicomcast_partitions_assigned": ("Partitions of this member.", lambda: len(state().assigned)),
            "dicomcast_partitions_stopped": (
                "Partitions that have stopped at an event that breaks the contract.",
                lambda: len(state().stopped),
            ),
            "dicomcast_studies_in_flight": (
                "Studies that are being read or written.",
                lambda: state().studies_in_flight,
            ),
            "dicomcast_records_waiting": (
                "Records in memory that wait.",
                lambda: state().records_waiting,
            ),
            "dicomcast_oldest_unfinished_age_seconds": (
                "How long the oldest record that is not finished has been on the topic; 0 without one.",
                lambda: _age_s(state().oldest_ms),
            ),
            "dicomcast_breaker_open": (
                "1 while the FHIR server does not answer as it must, so that nothing is applied.",
                lambda: float(breaker_open()),
            ),
        }
        for name, (text, value) in read.items():
            self._gauge(name, text).set_function(value)

    def note_kafka(self, stats: KafkaStats) -> None:
        """librdkafka's statistics, every few seconds."""
        self._lag.clear()
        for partition, lag in stats.lag.items():
            self._lag.labels(partition).set(lag)
        self._queued.set(stats.queued_records)
        self._queued_bytes.set(stats.queued_bytes)

    def note_finished(self, fates: Mapping[str, int]) -> None:
        """Events are done with."""
        for fate, count in fates.items():
            self._finished.labels(fate).inc(count)

    def note_in_fhir(self, at: datetime) -> None:
        """An event of that time is in FHIR."""
        self._age.observe(max(0.0, (datetime.now(UTC) - at).total_seconds()))

    def note_conflict(self) -> None:
        """Somebody else was ahead."""
        self._conflicts.inc()

    def note_unchanged(self, studies: int) -> None:
        """Nothing had to be written for them."""
        self._unchanged.inc(studies)

    def note_rebalance(self, kind: str) -> None:
        """The member's partitions change."""
        self._rebalances.labels(kind).inc()

    def note_omission(self, omission: Omission) -> None:
        """An attribute was left out, or mapped in doubt."""
        family = self._doubtful if omission.is_mapped else self._left_out
        family.labels(omission.attribute, omission.reason).inc()

    def note_passed_over(self, reason: str) -> None:
        """An event has no effect."""
        self._passed_over.labels(reason).inc()

    def note_report(self, report: str, count: int) -> None:
        """A person should look."""
        self._reports.labels(report).inc(count)

    def note_dead_letter(self, error: RejectedError) -> None:
        """A dead letter was acknowledged."""
        self._letters.labels(error.reason, error.code).inc()


def _age_s(oldest_ms: int | None) -> float:
    return 0.0 if oldest_ms is None else max(0.0, datetime.now(UTC).timestamp() - oldest_ms / 1000)
