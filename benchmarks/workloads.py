"""What arrives: events in the order of a feed, under UIDs that no other run has."""

import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from dicomcast_schemas import Action, DicomChangeEvent, State

from .headers import cr_header, ct_header

__all__ = ["FEED", "Shape", "deletions", "events", "mixed", "stored"]

FEED: Final = "bench"
_BEGIN: Final = datetime(2026, 1, 2, tzinfo=UTC)


def _root() -> str:
    return f"2.25.{uuid.uuid4().int % 10**12}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Studies of one kind, one patient each."""

    modality: str
    studies: int
    instances: int
    """In each study, in series of at most 250."""
    interleaved: bool = False
    """One instance of each study in turn, instead of study by study."""
    root: str = field(default_factory=_root)

    def anew(self) -> "Shape":
        """The same under other UIDs."""
        return replace(self, root=_root())

    @property
    def count(self) -> int:
        """Instances in all."""
        return self.studies * self.instances

    def places(self) -> list[tuple[int, int]]:
        """Study and instance numbers in the order of arrival."""
        if self.interleaved:
            return [(s, i) for i in range(1, self.instances + 1) for s in range(1, self.studies + 1)]
        return [(s, i) for s in range(1, self.studies + 1) for i in range(1, self.instances + 1)]


def events(shape: Shape) -> list[DicomChangeEvent]:
    """Every instance stored once."""
    return [stored(shape, study, instance, n) for n, (study, instance) in enumerate(shape.places(), 1)]


def stored(shape: Shape, study: int, instance: int, sequence: int) -> DicomChangeEvent:
    """An instance was stored."""
    study_uid = f"{shape.root}.{study}"
    series = (instance - 1) // 250 + 1
    sop_instance_uid = f"{study_uid}.{series}.{instance}"
    header = ct_header if shape.modality == "CT" else cr_header
    metadata = header(
        x0020000D=study_uid,
        x0020000E=f"{study_uid}.{series}",
        x00080018=sop_instance_uid,
        x00100020=f"P{shape.root}.{study}",
        x00080050=f"A{study}",
        x00200011=series,
        x00200013=instance,
        x00201041=-100.0 - 1.25 * instance,
        x00080032=f"1101{instance % 60:02}.{instance % 1000:03}",
    )
    return _event(
        sequence, Action.CREATE, State.CURRENT, (study_uid, f"{study_uid}.{series}", sop_instance_uid), metadata
    )


def deletions(shape: Shape, *, first: int) -> list[DicomChangeEvent]:
    """Of every study the second half of the instances, one study in four as a whole; study by study."""
    found: list[DicomChangeEvent] = []
    for study, instance in shape.places():
        if study % 4 and instance <= shape.instances // 2:
            continue
        study_uid, series = f"{shape.root}.{study}", (instance - 1) // 250 + 1
        uids = (study_uid, f"{study_uid}.{series}", f"{study_uid}.{series}.{instance}")
        found.append(_event(first + len(found), Action.DELETE, State.DELETED, uids, None))
    return found


def mixed(studies: int, seed: int = 7) -> list[DicomChangeEvent]:
    """A hospital's day: of ten studies six are radiographs, three CTs of 20 to 400 slices, one is an MR-like of 800."""
    random_, found = random.Random(seed), list[DicomChangeEvent]()
    waiting = [list(_one(random_)) for _ in range(studies)]
    while waiting:  # up to four scanners at once
        open_studies = waiting[:4]
        study = random_.choice(open_studies)
        found += [study.pop(0) for _ in range(min(len(study), random_.randint(1, 20)))]
        if not study:
            waiting.remove(study)
    return [_renumbered(event, n) for n, event in enumerate(found, 1)]


def _one(random_: random.Random) -> Iterator[DicomChangeEvent]:
    kind = random_.random()
    instances = random_.randint(1, 3) if kind < 0.6 else random_.randint(20, 400) if kind < 0.9 else 800
    yield from events(Shape(modality="CR" if kind < 0.6 else "CT", studies=1, instances=instances))


def _renumbered(event: DicomChangeEvent, sequence: int) -> DicomChangeEvent:
    uids = (event.study_instance_uid, event.series_instance_uid, event.sop_instance_uid)
    return _event(sequence, event.action, event.state, uids, event.metadata)


def _event(
    sequence: int, action: Action, state: State, uids: tuple[str, str, str], metadata: str | None
) -> DicomChangeEvent:
    return DicomChangeEvent(
        feed=FEED,
        sequence=sequence,
        partition_name=None,
        study_instance_uid=uids[0],
        series_instance_uid=uids[1],
        sop_instance_uid=uids[2],
        action=action,
        state=state,
        timestamp=_BEGIN + timedelta(milliseconds=sequence),
        file_path=None,
        metadata=metadata,
    )
