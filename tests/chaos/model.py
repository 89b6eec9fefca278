"""What must come of the events, worked out without the product's merge code.

Of one instance the event with the highest sequence wins, of a study's description and a patient's name the highest one
that carries it. What may be refused is refused for what stands in the event alone. Not certain is the name of a patient
that only events of a study say which was empty again later: folded with the deletion they leave no trace.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dicomcast_schemas import Action, State

from tests.chaos.evidence import Letter, TopicRecord
from tests.chaos.story import REFUSED_FROM

__all__ = ["ABSENT", "ANY", "Effect", "Instance", "Model", "Study"]

ABSENT = None
ANY = -1
"""An instance number that nobody knows: its metadata was read later, by WADO-RS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An event that must show in FHIR, unless a later one of its instance does: the number it leaves, or ABSENT."""

    offset: int
    sequence: int
    number: int | None


@dataclass(slots=True)
class Instance:
    """The effects of one instance's events, in order."""

    partition: int
    series: str
    effects: list[Effect] = field(default_factory=list)
    certain: list[int] = field(default_factory=list)
    """Offsets of those that cannot have been refused, ascending."""

    def allowed(self, since: int) -> set[int | None]:
        """What FHIR may hold once everything before the offset `since` is done."""
        last = max((offset for offset in self.certain if offset < since), default=None)
        numbers = {effect.number for effect in self.effects if last is None or effect.offset >= last}
        return numbers | {ABSENT} if last is None else numbers


@dataclass(slots=True)
class Study:
    """What must be left of a study."""

    patient: str = ""
    description: str | None = None
    """None: not certain."""
    instances: dict[str, Instance] = field(default_factory=dict)
    modalities: dict[str, str] = field(default_factory=dict)
    """Series UID → modality."""
    emptied: int = 0
    """How often its last instance was deleted."""

    @property
    def is_empty(self) -> bool:
        """Whether none of its instances is left."""
        return all(one.effects[-1].number is ABSENT for one in self.instances.values() if one.effects)


class Model:
    """Studies by UID, and patients' names, after all events."""

    def __init__(self, records: Iterable[TopicRecord], letters: Iterable[Letter]) -> None:
        self.studies: dict[str, Study] = defaultdict(Study)
        self._names: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        """By PatientID, in order: a name, the study that says it, and how often that had been empty."""
        self._any_name = False
        self.faults: list[str] = []
        """Letters that should not be, and events that should have become one."""
        self._letters = {(letter.partition, letter.offset): letter.code for letter in letters}
        in_order = sorted(records, key=lambda record: record.event.sequence)
        self._healed = _last_certain(in_order)
        for record in in_order:
            self._take(record)

    def _take(self, record: TopicRecord) -> None:
        event = record.event
        code = self._letters.get((record.partition, record.offset))
        allowed, required = _letter_codes(record)
        if required and record.offset < self._healed.get(event.sop_instance_uid, -1) and allowed == {"fhir.422"}:
            required = False  # it may have been folded with the later one, which stands in for it
            self._forget_names()
        if code not in allowed | {None} or (required and code is None):
            self.faults.append(f"sequence {event.sequence} became {code or 'no letter'}; right were {sorted(allowed)}")
        if allowed - {"source.gone"} or code == "source.gone" or _is_skipped(record):
            return
        study = self.studies[event.study_instance_uid]
        instance = study.instances.setdefault(
            event.sop_instance_uid, Instance(record.partition, event.series_instance_uid)
        )
        if event.action is Action.DELETE:
            self._effect(instance, record, ABSENT)
            study.emptied += study.is_empty
        elif event.metadata is None:
            instance.effects.append(Effect(offset=record.offset, sequence=event.sequence, number=ANY))
            study.description = None
            self._forget_names()
        else:
            self._values(study, record)
            self._effect(instance, record, _number(json.loads(event.metadata)))

    def names(self, patient: str) -> set[str]:
        """What the patient may be called; empty when anything is right."""
        found: set[str] = set()
        for name, study, emptied in reversed(self._names[patient]):
            found.add(name)
            if self.studies[study].emptied == emptied:
                return found
        return set() if self._any_name else found | {""}

    def _forget_names(self) -> None:
        self._names.clear()
        self._any_name = True

    def _effect(self, instance: Instance, record: TopicRecord, number: int | None) -> None:
        instance.effects.append(Effect(offset=record.offset, sequence=record.event.sequence, number=number))
        instance.certain.append(record.offset)

    def _values(self, study: Study, record: TopicRecord) -> None:
        data_set = json.loads(record.event.metadata or "{}")
        study.patient = _text(data_set, "00100020")
        study.description = _text(data_set, "00081030")
        study.modalities[record.event.series_instance_uid] = _text(data_set, "00080060")
        if "00100010" in data_set:
            name = data_set["00100010"]["Value"][0]["Alphabetic"]
            self._names[study.patient].append((name, record.event.study_instance_uid, study.emptied))


def _letter_codes(record: TopicRecord) -> tuple[set[str], bool]:
    """The codes with which the event may be a dead letter, and whether it must be one."""
    event = record.event
    if event.action is Action.DELETE or _is_skipped(record):
        return set(), False
    if event.metadata is None:
        return {"source.gone"}, False
    data_set = json.loads(event.metadata)
    if _text(data_set, "0020000D") != event.study_instance_uid:
        return {"map.uid_mismatch"}, True
    if "00080016" not in data_set:
        return {"map.sop_class_uid_missing"}, True
    if "00100020" not in data_set:
        return {"map.patient_id_missing"}, True
    if _number(data_set) >= REFUSED_FROM:
        return {"fhir.422"}, True
    return set(), False


def _is_skipped(record: TopicRecord) -> bool:
    event = record.event
    gone = event.action is not Action.DELETE and event.state is State.DELETED
    return gone or (event.action is Action.DELETE and event.state is State.REPLACED)


def _last_certain(records: Sequence[TopicRecord]) -> dict[str, int]:
    """By instance, the offset of the last event that no server can refuse."""
    return {
        record.event.sop_instance_uid: record.offset
        for record in records
        if not _letter_codes(record)[0] and not _is_skipped(record)
    }


def _text(data_set: Mapping[str, Any], tag: str) -> str:
    return str(data_set[tag]["Value"][0]) if tag in data_set else ""


def _number(data_set: Mapping[str, Any]) -> int:
    return int(_text(data_set, "00200013"))
