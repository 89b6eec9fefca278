"""One study: its events on the topic, what FHIR holds, what differs, and what that means. Pure."""

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from dicomcast_schemas import ContractError, SchemaById, decode

from ..dlq_done import KeptLetter
from ..mapping.unlisted import size
from ..record import Record
from ..uid import is_uid
from ..verify import StudyVerdict
from .overview import Notice

__all__ = ["Comparison", "Held", "StudySeen", "Trace", "TracedEvent", "conclusion", "held", "read_uid", "traced"]

_MODALITY: Final = re.compile(r"[A-Z]{2,16}")


def read_uid(text: str) -> str | None:
    """A Study Instance UID as people paste it, without `urn:oid:` and white space; None for what is none (PS3.5 9)."""
    found = text.strip(" \0\t\r\n").removeprefix("urn:oid:")
    return found if is_uid(found) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedEvent:
    """One record of the study. What the value does not give is empty."""

    partition: int
    offset: int
    arrived_at: datetime | None
    done: bool
    """Whether the group has passed it: it is in FHIR, without effect, or an acknowledged dead letter."""
    feed: str = ""
    sequence: int | None = None
    action: str = ""
    state: str = ""
    sop_instance_uid: str = ""
    series_instance_uid: str = ""
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """The study's events in its partition, newest first."""

    partition: int
    committed: int | None
    begin: int
    end: int
    looked_from: int
    """Offset from which on the partition was read; older events were not looked for."""
    events: tuple[TracedEvent, ...]
    more: bool
    """Whether there were more events than are kept."""

    @property
    def waiting(self) -> int:
        """Events that the group has not passed."""
        return sum(not each.done for each in self.events)

    @property
    def whole(self) -> bool:
        """Whether all of the partition was looked through."""
        return self.looked_from <= self.begin and not self.more


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An ImagingStudy in FHIR, without anything of the patient."""

    id: str
    version: str
    updated_at: str
    status: str
    modalities: tuple[str, ...]
    series: int
    instances: int
    has_subject: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One DICOM server against FHIR."""

    feed: str
    verdict: StudyVerdict | None
    fault: str | None
    """Why they could not be compared."""


@dataclass(slots=True, kw_only=True)
class StudySeen:
    """All that could be found; each part has its own fault, so that one server's outage hides nothing else."""

    uid: str
    trace: Trace | None = None
    trace_fault: str | None = None
    letters: Sequence[KeptLetter] = ()
    letters_fault: str | None = None
    held: Sequence[Held] = ()
    held_fault: str | None = None
    comparisons: Sequence[Comparison] = field(default_factory=list)

    @property
    def pending(self) -> list[KeptLetter]:
        """Its dead letters that wait for a person."""
        return [each for each in self.letters if each.pending]

    @property
    def repair(self) -> str:
        """The command that compares and repairs."""
        return shlex.join(["dicomcast-consumer", "verify", "--study", self.uid, "--repair"])


def traced(record: Record, *, committed: int | None, schema_by_id: SchemaById | None) -> TracedEvent:
    """A record of the topic as it is shown. Raises nothing."""
    place: dict[str, Any] = {
        "partition": record.partition,
        "offset": record.offset,
        "arrived_at": datetime.fromtimestamp(record.timestamp_ms / 1000, UTC) if record.timestamp_ms >= 0 else None,
        "done": committed is not None and record.offset < committed,
    }
    try:
        event = decode(record.value, schema_by_id=schema_by_id)
    except ContractError as error:
        return TracedEvent(**place, fault=str(error))
    return TracedEvent(
        **place,
        feed=event.feed,
        sequence=event.sequence,
        action=event.action.value,
        state=event.state.value,
        sop_instance_uid=event.sop_instance_uid,
        series_instance_uid=event.series_instance_uid,
    )


def held(resource: Mapping[str, Any]) -> Held:
    """What is shown of an ImagingStudy: no name, no id of a person, no text that somebody typed."""
    meta, series = resource.get("meta") or {}, resource.get("series") or []
    codes = [str((each.get("modality") or {}).get("code", "")) for each in series]
    return Held(
        id=str(resource.get("id", "")),
        version=str(meta.get("versionId", "")),
        updated_at=str(meta.get("lastUpdated", "")),
        status=str(resource.get("status", "")),
        modalities=tuple(sorted({code for code in codes if _MODALITY.fullmatch(code)})),
        series=len(series),
        instances=sum(size(each) for each in series),
        has_subject=bool((resource.get("subject") or {}).get("reference")),
    )


def conclusion(seen: StudySeen) -> Notice:
    """One sentence: how the study stands, and what to do."""
    if seen.pending:
        count = len(seen.pending)
        events = "One of its events was rejected" if count == 1 else f"{count} of its events were rejected"
        return Notice("bad", events, "Look at the dead letters below: mend the cause, then replay them.")
    if seen.trace and seen.trace.waiting:
        text = "They are applied in their order. If the number does not fall, see the overview."
        return Notice("info", f"{seen.trace.waiting} of its events wait", text)
    compared = [each.verdict for each in seen.comparisons if each.verdict is not None]
    if any(not verdict.same for verdict in compared):
        text = "Nothing on the topic explains it any more. Compare once more, then repair with the command below."
        return Notice("bad", "DICOM and FHIR differ", text)
    if _on_neither(seen, compared):
        return Notice("info", "Neither server has this study", _why_neither(seen))
    if compared and len(compared) == len(seen.comparisons):
        return Notice("ok", "DICOM and FHIR agree", "Every instance of the DICOM server is in FHIR, and no other.")
    return Notice("warn", "It could not be compared", "One of the servers did not answer; what is known is below.")


def _on_neither(seen: StudySeen, compared: Sequence[StudyVerdict]) -> bool:
    complete = bool(compared) and len(compared) == len(seen.comparisons)
    return complete and not seen.held and all(v.on_dicom == v.on_fhir == 0 for v in compared)


def _why_neither(seen: StudySeen) -> str:
    if seen.trace is None:
        return "Whether it ever came is not known: the topic cannot be read."
    if seen.trace.events:
        return "It was there, by the events below, and was deleted."
    return "Nor does what was read of the topic. Is the UID right?"
