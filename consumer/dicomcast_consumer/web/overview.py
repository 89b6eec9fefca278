"""What the overview says: how the group is, in one sentence and a few numbers. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ..status import GroupStatus
from .history import Sample, points
from .members import MemberView

__all__ = ["Notice", "Snapshot", "breaker_text", "in_flight", "notices", "oldest_s", "rates"]

_LATE_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What the sampler found last; replaced as a whole."""

    at: datetime | None = None
    """When Kafka last answered."""
    status: GroupStatus | None = None
    fault: str | None = None
    """Why Kafka could not be asked the last time."""
    samples: tuple[Sample, ...] = ()
    members: tuple[MemberView, ...] = ()
    pending: int | None = None
    """Dead letters that wait for a person; None where that is not known."""
    reasons: tuple[tuple[str, int], ...] = ()
    """Of these, how many by code, most first."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to know, with what to do. `level`: ok, info, warn, bad."""

    level: str
    title: str
    text: str


def notices(seen: Snapshot, now: datetime) -> list[Notice]:
    """What is not well, worst first; one that says that all is well where nothing is."""
    found = [*_of_kafka(seen), *_of_group(seen), *_of_members(seen), *_of_age(seen, now), *_of_letters(seen)]
    order = ("bad", "warn", "info")
    return sorted(found, key=lambda each: order.index(each.level)) or [_all_well(seen)]


def _of_kafka(seen: Snapshot) -> list[Notice]:
    if seen.fault is not None:
        kept = " Below is what it said last." if seen.status else ""
        return [Notice("bad", "Kafka cannot be asked", f"{seen.fault}.{kept}")]
    if seen.status is None:
        return [Notice("info", "Kafka is being asked", "The first answer comes in a few seconds.")]
    return []


def _of_group(seen: Snapshot) -> list[Notice]:
    if seen.status is None or seen.status.members is None or seen.status.members:
        return []
    lag = seen.status.lag
    text = "Start one: dicomcast-consumer run. " + (f"{lag} records wait." if lag else "Nothing waits at the moment.")
    return [Notice("bad" if lag else "warn", "No consumer is running", text)]


def _of_members(seen: Snapshot) -> list[Notice]:
    found = [
        Notice("warn", f"Member {member.url} does not answer", f"{member.fault}. Check DICOMCAST_WEB__MEMBERS.")
        for member in seen.members
        if member.fault is not None
    ]
    for member in seen.members:
        for name, wrong in member.checks:
            if wrong is not None:
                found.append(Notice("bad", _trouble(name, member), f"{member.url} says: {wrong}."))
    return found


def _trouble(check: str, member: MemberView) -> str:
    if check == "fhir":
        return "The breaker is open: FHIR is not written to" if member.breaker_open else "FHIR is waited for"
    if check == "partitions":
        return "A partition has stopped"
    return "A member is not in the group"


def _of_age(seen: Snapshot, now: datetime) -> list[Notice]:
    waits_s = oldest_s(seen, now)
    if waits_s is None or waits_s < _LATE_S:
        return []
    text = "The group is behind. If the throughput below is not 0 it catches up; else look at the members' logs."
    return [Notice("warn", f"The oldest event has waited {int(waits_s // 60)} minutes", text)]


def _of_letters(seen: Snapshot) -> list[Notice]:
    if not seen.pending:
        return []
    one = seen.pending == 1
    events = "1 event was rejected and waits" if one else f"{seen.pending} events were rejected and wait"
    return [Notice("warn", f"{events} for you", "See Dead letters: mend the cause, then replay.")]


def _all_well(seen: Snapshot) -> Notice:
    if seen.status is not None and seen.status.lag:
        return Notice("ok", "All is well", f"{seen.status.lag} records are on their way to FHIR.")
    return Notice("ok", "All is well", "Everything on the topic is in FHIR.")


def oldest_s(seen: Snapshot, now: datetime) -> float | None:
    """How long the oldest unfinished event has waited."""
    ages = [age for each in (seen.status.partitions if seen.status else ()) if (age := each.age_s(now)) is not None]
    return max(ages, default=None)


def rates(samples: Sequence[Sample], partition: int | None = None) -> tuple[float, float] | None:
    """Applied and arrived per second over the last half minute; None before there are two looks."""
    found = points(samples, partition=partition)
    return (found[-1].applied_per_s, found[-1].arrived_per_s) if found else None


def in_flight(members: Sequence[MemberView]) -> int | None:
    """Studies in flight in all members that tell."""
    known = [each.studies_in_flight for each in members if each.studies_in_flight is not None]
    return sum(known) if known else None


def breaker_text(members: Sequence[MemberView]) -> tuple[str, str]:
    """Level and word for the breakers together."""
    known = [each.breaker_open for each in members if each.breaker_open is not None]
    if not known:
        return "info", "unknown"
    opened = sum(known)
    return ("ok", "closed") if not opened else ("bad", f"open in {opened} of {len(known)}")
