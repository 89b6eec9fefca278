"""What the consumer counts, for Prometheus. No UID and no patient's value is ever a label: keywords and slugs only."""

from prometheus_client import CollectorRegistry, Counter

from .errors import RejectedError
from .mapping import Omission

__all__ = ["ConsumerMetrics"]


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
