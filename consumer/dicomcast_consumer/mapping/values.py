"""What a change feed event says, read once at the edge: one frozen type per level, and how changes fold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cmp_to_key

import msgspec

from .dose_values import DoseReport
from .fragments import (
    AccessionNumber,
    Coding,
    Concept,
    Frames,
    LogicalReference,
    PatientIdentifier,
    Performer,
    PersonName,
)

__all__ = [
    "InstanceChange",
    "InstanceRun",
    "InstanceValues",
    "Kind",
    "Mark",
    "Omission",
    "PatientValues",
    "SeriesValues",
    "StudyValues",
    "fold",
]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Which event a value stems from."""

    feed: str
    sequence: int
    timestamp: datetime
    """Aware, UTC."""

    def older_than(self, other: "Mark") -> bool:
        """Within one feed by sequence; between feeds by timestamp, then sequence."""
        if self.feed == other.feed:
            return self.sequence < other.sequence
        return (self.timestamp, self.sequence) < (other.timestamp, other.sequence)


class Kind(Enum):
    """What a change does to the study's list of instances."""

    UPSERT = "upsert"
    REMOVE = "remove"
    SKIP = "skip"


@dataclass(frozen=True, slots=True, kw_only=True)
class Omission:
    """An attribute that was left out, or is there with less than it had. Never holds the value."""

    sop_instance_uid: str
    attribute: str
    """The keyword of PS3.6, such as PatientSex."""
    reason: str
    """A stable slug, such as date_invalid."""
    is_mapped: bool = False
    """True: it was mapped all the same, but a person should look at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientValues:
    """What Patient takes. None: the data set has none."""

    identifier: PatientIdentifier
    name: PersonName | None = None
    gender: str | None = None
    birth_date: str | None = None
    other_identifiers: tuple[PatientIdentifier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyValues:
    """What ImagingStudy takes besides its series."""

    started: str | None = None
    description: str | None = None
    between: tuple[str, str] | None = None
    """The earliest and latest instant that `started` can be, where its UTC offset is unknown."""
    study_id: str | None = None
    accession: AccessionNumber | None = None
    requests: tuple[AccessionNumber, ...] = ()
    """Accession numbers of orders that have the system of an issuer."""
    referrer: LogicalReference | None = None
    interpreters: tuple[LogicalReference, ...] = ()
    location: LogicalReference | None = None
    procedure_codes: tuple[Concept, ...] = ()
    reason_codes: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesValues:
    """What ImagingStudy.series takes besides its instances."""

    number: int | None = None
    modality: Coding | None = None
    description: str | None = None
    body_site: Coding | None = None
    laterality: str | None = None
    """R, L or B of Laterality (0020,0060)."""
    image_laterality: str | None = None
    """R, L or B of ImageLaterality (0020,0062), which belongs to the instance."""
    started: str | None = None
    between: tuple[str, str] | None = None
    """As in StudyValues."""
    performers: tuple[Performer, ...] = ()
    specimens: tuple[LogicalReference, ...] = ()


class InstanceValues(msgspec.Struct, frozen=True, kw_only=True):
    """What ImagingStudy.series.instance takes."""

    sop_class_uid: str
    sop_class_display: str | None = None
    number: int | None = None
    title: str | None = None
    frames: Frames | None = None


class InstanceChange(msgspec.Struct, frozen=True, kw_only=True):
    """One event, read. UPSERT has values; REMOVE and SKIP have none."""

    mark: Mark
    kind: Kind
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    skip_reason: str | None = None
    is_update: bool = False
    """The action was UPDATE: the server changed a stored instance."""
    patient: PatientValues | None = None
    study: StudyValues | None = None
    series: SeriesValues | None = None
    instance: InstanceValues | None = None
    dose: DoseReport | None = None
    """Of a radiation dose report, where the options ask for it."""
    omissions: tuple[Omission, ...] = ()


class InstanceRun(msgspec.Struct, frozen=True, kw_only=True):
    """The changes of one SOP instance in a run of queued events, oldest first, never empty, no SKIP among them.

    `last` is the net effect on the instance. The earlier ones still give their study, series and patient values.
    """

    changes: tuple[InstanceChange, ...]

    @property
    def last(self) -> InstanceChange:
        """The change that decides the instance's entry."""
        return self.changes[-1]


def in_order(changes: Iterable[InstanceChange]) -> list[InstanceChange]:
    """The changes, oldest mark first; of two with one mark the one given last comes last."""
    found = list(changes)
    if len(found) < 2:
        return found
    if len({change.mark.feed for change in found}) <= 1:
        return sorted(found, key=lambda change: change.mark.sequence)
    return sorted(found, key=cmp_to_key(_by_mark))


def _by_mark(one: InstanceChange, other: InstanceChange) -> int:
    return other.mark.older_than(one.mark) - one.mark.older_than(other.mark)


def fold(changes: Iterable[InstanceChange]) -> tuple[InstanceRun, ...]:
    """The net effect of a study's queued changes: one run per SOP instance, ascending by the mark of its last change.

    SKIP has no effect and is left out. An event that is there twice counts once.
    """
    ordered = in_order(changes)
    if len(ordered) == 1 and ordered[0].kind is not Kind.SKIP:
        return (InstanceRun(changes=(ordered[0],)),)
    by_instance: dict[str, dict[tuple[str, int], InstanceChange]] = {}
    for change in ordered:
        if change.kind is not Kind.SKIP:
            key = (change.mark.feed, change.mark.sequence)
            by_instance.setdefault(change.sop_instance_uid, {})[key] = change
    runs = {uid: InstanceRun(changes=tuple(found.values())) for uid, found in by_instance.items()}
    return tuple(runs[change.sop_instance_uid] for change in in_order(run.last for run in runs.values()))
