"""`verify --repair`: what is missing in FHIR is applied by the consumer's own merge, beside members that are at work.

An instance's metadata is read from the DICOM server and applied as an event older than every other: it adds the
instance and fills what is empty, and overwrites no value. In the place of a member's proof of ownership the DICOM
server is asked between read and write whether it still has the instances; it is asked again after the write, and what
was deleted meanwhile is deleted in FHIR as well. Between the two stands If-Match, as everywhere. Nothing is produced
to Kafka.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from dicomcast_runtime.dicomweb_client import InstanceGoneError
from dicomcast_schemas import Action, DicomChangeEvent, State, encode
from dicomcast_schemas.topic import record_key

from .errors import RejectedError
from .group import ApplyGroup, Group
from .qido import Place
from .record import Record

__all__ = ["Repair", "StudyServer"]

_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK: Final = 200
"""Instances that are in memory with their metadata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyServer:
    """What a repair asks of the DICOM server. Each call raises DicomWebError when it cannot be had."""

    instances: Callable[[str], Awaitable[frozenset[Place]]]
    """Of a study, by its UID."""
    metadata: Callable[[str, Place], Awaitable[str]]
    """Of an instance of the study. Raises InstanceGoneError."""


@dataclass(slots=True)
class Repair:
    """Repairs studies, one after the other."""

    feed: str
    partition_name: str | None
    server: StudyServer
    rejections: dict[Place, RejectedError] = field(default_factory=dict)
    """Instances that the mapping or the FHIR server refuses."""
    _study: str = ""
    _needed: frozenset[Place] = frozenset()
    """Instances that the DICOM server must still have when they are written."""
    _under_way: Sequence[Place] = ()

    async def repair(self, apply: ApplyGroup, study_instance_uid: str, missing: Iterable[Place]) -> None:
        """Returns once the instances are in FHIR, refused (see `rejections`), or not on the DICOM server any more."""
        self._study = study_instance_uid
        rest = sorted(missing)
        while rest:
            chunk, rest = rest[:_CHUNK], rest[_CHUNK:]
            while events := await self._creations(chunk):
                try:
                    await self._apply(apply, events, needed=frozenset(map(_place, events)))
                except _GoneMeanwhileError:
                    continue  # read what is still there
                break
            gone = frozenset(map(_place, events)) - await self.server.instances(study_instance_uid)
            if gone:
                deletions = [self._event(place, Action.DELETE, State.DELETED, None) for place in sorted(gone)]
                await self._apply(apply, deletions, needed=frozenset())

    async def prove(self, partition: int) -> None:
        """In the place of the commit that proves a member's ownership: see the module. Raises _GoneMeanwhileError."""
        if self._needed and not self._needed <= await self.server.instances(self._study):
            raise _GoneMeanwhileError

    async def send(self, record: Record, error: RejectedError, group: Group) -> None:
        """Takes a rejection: it is reported, not written to the dead-letter topic."""
        self.rejections[self._under_way[record.offset]] = error

    async def _apply(self, apply: ApplyGroup, events: Sequence[DicomChangeEvent], *, needed: frozenset[Place]) -> None:
        self._needed = needed
        self._under_way = [_place(event) for event in events]
        await apply(_group(events))

    async def _creations(self, places: Sequence[Place]) -> list[DicomChangeEvent]:
        events = []
        for place in places:
            try:
                metadata = await self.server.metadata(self._study, place)
            except InstanceGoneError:
                continue
            events.append(self._event(place, Action.CREATE, State.CURRENT, metadata))
        return events

    def _event(self, place: Place, action: Action, state: State, metadata: str | None) -> DicomChangeEvent:
        return DicomChangeEvent(
            feed=self.feed,
            sequence=0,
            partition_name=self.partition_name,
            study_instance_uid=self._study,
            series_instance_uid=place[0],
            sop_instance_uid=place[1],
            action=action,
            state=state,
            timestamp=_OLDEST,
            file_path=None,
            metadata=metadata,
        )


class _GoneMeanwhileError(Exception):
    """Between read and write the DICOM server has deleted an instance."""


def _place(event: DicomChangeEvent) -> Place:
    return event.series_instance_uid, event.sop_instance_uid


def _group(events: Sequence[DicomChangeEvent]) -> Group:
    records = tuple(
        Record(
            topic="", partition=0, offset=offset, key=record_key(event), value=encode(event), headers=(), timestamp_ms=0
        )
        for offset, event in enumerate(events)
    )
    return Group.of(records)
