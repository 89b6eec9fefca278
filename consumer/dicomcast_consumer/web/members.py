"""What a member says of itself, from its /metrics and /readyz. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["MemberView", "away", "member_view"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """One member. Numbers are None where it does not tell them."""

    url: str
    fault: str | None
    """Why it could not be asked; the rest is empty then."""
    checks: tuple[tuple[str, str | None], ...] = ()
    """Each check of /readyz and what it found wrong."""
    breaker_open: bool | None = None
    studies_in_flight: int | None = None
    records_waiting: int | None = None
    partitions_assigned: int | None = None
    partitions_stopped: int | None = None
    oldest_s: float | None = None

    @property
    def ready(self) -> bool:
        """Whether it does its work now."""
        return self.fault is None and all(wrong is None for _, wrong in self.checks)

    @property
    def wrong(self) -> tuple[str, ...]:
        """What is wrong with it, in words."""
        if self.fault is not None:
            return (self.fault,)
        return tuple(f"{name}: {found}" for name, found in self.checks if found is not None)


def away(url: str, fault: str) -> MemberView:
    """A member that could not be asked."""
    return MemberView(url=url, fault=fault)


def member_view(url: str, *, metrics: str, ready: str) -> MemberView:
    """A member by the bodies of its /metrics and /readyz. What is no such text is a fault of the member's address."""
    try:
        values = _values(metrics)
    except ValueError:
        return away(url, "/metrics is not what a member serves: is this the HTTP port of a consumer?")
    if "dicomcast_events_finished_total" not in values and "dicomcast_studies_unchanged_total" not in values:
        return away(url, "this is no consumer of dicomcast: name the HTTP port of a member")
    is_open = values.get("dicomcast_breaker_open")
    return MemberView(
        url=url,
        fault=None,
        checks=_checks(ready),
        breaker_open=None if is_open is None else is_open > 0,
        studies_in_flight=_whole(values, "dicomcast_studies_in_flight"),
        records_waiting=_whole(values, "dicomcast_records_waiting"),
        partitions_assigned=_whole(values, "dicomcast_partitions_assigned"),
        partitions_stopped=_whole(values, "dicomcast_partitions_stopped"),
        oldest_s=values.get("dicomcast_oldest_unfinished_age_seconds"),
    )


def _values(text: str) -> dict[str, float]:
    """Each sample's value, those of one name added up over their labels."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            values[sample.name] = values.get(sample.name, 0.0) + sample.value
    return values


def _whole(values: Mapping[str, float], name: str) -> int | None:
    found = values.get(name)
    return None if found is None else int(found)


def _checks(text: str) -> tuple[tuple[str, str | None], ...]:
    """The lines of a dicomcast_runtime.health.Report."""
    found: list[tuple[str, str | None]] = []
    for line in text.splitlines():
        if line.startswith("[+] "):
            found.append((line[4:], None))
        elif line.startswith("[-] "):
            name, _, wrong = line[4:].partition(": ")
            found.append((name, wrong))
    return tuple(found)
