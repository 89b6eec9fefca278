"""A radiation dose report (PS3.16 TID 10001, 10011, 10021) as a DoseReport, however odd it is.

What it holds beyond the concepts of `dose_terms` is passed over; what is there of them and cannot be taken is left out
and noted. Nothing in a report's content rejects its instance.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from ..mapping_options import MappingOptions, SourceProfile
from .codes import read_concept
from .content import ContentItem, code_of, read_content
from .dates import Clock
from .dose_terms import (
    ACCESSION_NUMBER,
    ACCUMULATED,
    ACQUISITION_PLANE,
    ADMINISTRATION,
    AGENT_TERMS,
    EVENT_TERMS,
    EVENT_UIDS,
    EVENTS,
    ROOTS,
    SINGLE_PLANE,
    STARTS,
    SUMMARY_TERMS,
    TARGET_REGION,
    Term,
)
from .dose_values import Component, DoseReport, IrradiationEvent
from .elements import DataSet, is_uid
from .fragments import AccessionNumber
from .header import Header
from .read_measurement import read_measurement
from .values import StudyValues

__all__ = ["is_dose_report", "read_dose"]

_STRUCTURED = "1.2.840.10008.5.1.4.1.1.88."
_CONTAINERS = ACCUMULATED | EVENTS
_MAX_EVENTS = 2_000


def is_dose_report(data_set: DataSet) -> bool:
    """Whether the data set is an SR whose title says that it is a radiation dose report."""
    if code_of(data_set.item("0040A043")) not in ROOTS:
        return False
    return data_set.first("00080060") == "SR" or str(data_set.first("00080016")).startswith(_STRUCTURED)


def read_dose(
    header: Header, clock: Clock, study: StudyValues, profile: SourceProfile, options: MappingOptions
) -> DoseReport | None:
    """What the report says; None, noted, when it says nothing of a dose."""
    reader = _Reader(clock, options.codingscheme)
    root = read_content(header.exact("0040A730"))
    containers = [root, *(item for item in root.below(without=frozenset()) if item.code in _CONTAINERS)]
    events = tuple(reader.events(item for item in containers if item.code in EVENTS))
    components = tuple(reader.summary(containers))
    if not (components or events):
        header.omit("ContentSequence", "no_dose")
        return None
    starts = [start for item in containers if (start := reader.start(item))]
    return DoseReport(
        status=_status(header),
        started=min(starts, key=_instant) if starts else study.started,
        accession=_accession(root, study, profile),
        components=components,
        events=events,
    )


def _status(data_set: DataSet) -> str:
    """Final when it is complete, or said to be final, and nothing says otherwise."""
    completion = data_set.code_string("0040A491", "CompletionFlag")
    preliminary = data_set.code_string("0040A496", "PreliminaryFlag")
    is_final = completion == "COMPLETE" or (completion is None and preliminary == "FINAL")
    return "final" if is_final and preliminary != "PRELIMINARY" else "preliminary"


def _accession(root: ContentItem, study: StudyValues, profile: SourceProfile) -> AccessionNumber | None:
    """The report's own accession number, else the study's."""
    for item in root.below(without=_CONTAINERS):
        value = item.data_set.text("0040A160", "TextValue") if item.code == ACCESSION_NUMBER else None
        if value and (study.accession is None or study.accession.value != value):
            return AccessionNumber(value=value, system=profile.accession_system)
    return study.accession


def _instant(moment: str) -> tuple[float, str]:
    """What moments are compared by; a date, which has no time zone, by its start in UTC."""
    time = moment if "T" in moment else f"{(moment + '-01-01')[:10]}T00:00:00+00:00"
    return datetime.fromisoformat(time.replace(":60", ":59", 1)).timestamp(), moment


class _Reader:
    """Reads containers of one report."""

    def __init__(self, clock: Clock, schemes: Mapping[str, str]) -> None:
        self._clock = clock
        self._schemes = schemes

    def start(self, container: ContentItem) -> str | None:
        """R4 dateTime of the first start among the direct children."""
        for item in container.children:
            text = item.data_set.text("0040A120", "DateTime") if item.code in STARTS else None
            moment = self._clock.date_time(text, "DateTime") if text else None
            if moment:
                return moment
        return None

    def summary(self, containers: Iterable[ContentItem]) -> Iterator[Component]:
        """What was accumulated, and what was administered."""
        found: dict[Component, None] = {}
        for container in containers:
            if container.code in ACCUMULATED:
                found.update(dict.fromkeys(self._components(container, SUMMARY_TERMS)))
            elif container.code == ADMINISTRATION:
                found.update(dict.fromkeys(self._components(container, AGENT_TERMS)))
        yield from found

    def events(self, containers: Iterable[ContentItem]) -> Iterator[IrradiationEvent]:
        """One per event UID: what two planes of a biplane system say of one event is put together."""
        found: dict[str, IrradiationEvent] = {}
        for container in containers:
            uid = _event_uid(container)
            if uid is None:
                continue
            if len(found) >= _MAX_EVENTS and uid not in found:
                container.data_set.omit("ContentSequence", "too_many_events")
                break
            event = self._event(container, uid)
            found[uid] = _together(found[uid], event) if uid in found else event
        yield from found.values()

    def _event(self, container: ContentItem, uid: str) -> IrradiationEvent:
        region = next((item for item in container.children if item.code == TARGET_REGION), None)
        code = region.data_set.item("0040A168") if region else None
        return IrradiationEvent(
            uid=uid,
            started=self.start(container),
            body_site=read_concept(code, "ConceptCodeSequence", self._schemes) if code else None,
            components=tuple(dict.fromkeys(self._components(container, EVENT_TERMS))),
        )

    def _components(self, container: ContentItem, terms: Mapping[str, Term]) -> Iterator[Component]:
        plane = _planes(container)
        for item in container.below(without=_CONTAINERS):
            term = terms.get(item.code or "")
            value = read_measurement(item.data_set, self._schemes) if term else None
            if term is not None and value is not None:
                yield Component(term=term, value=value, where=(*plane, *_modifiers(item)))


def _event_uid(container: ContentItem) -> str | None:
    item = next((item for item in container.below(without=_CONTAINERS) if item.code in EVENT_UIDS), None)
    uid = item.data_set.text("0040A124", "UID") if item else None
    if uid is None or not is_uid(uid):
        container.data_set.omit("UID", "missing" if uid is None else "uid_invalid")
        return None
    return uid


def _together(one: IrradiationEvent, other: IrradiationEvent) -> IrradiationEvent:
    return replace(
        one,
        started=one.started or other.started,
        body_site=one.body_site or other.body_site,
        components=tuple(dict.fromkeys((*one.components, *other.components))),
    )


def _planes(container: ContentItem) -> list[str]:
    """The plane of a biplane system."""
    found = [item for item in container.children if item.code == ACQUISITION_PLANE]
    return [name for item in found if (name := _meaning(item, but=SINGLE_PLANE))]


def _modifiers(item: ContentItem) -> list[str]:
    """What tells two measurements of one concept apart, such as the laterality of a breast."""
    found = [child for child in item.children if child.relationship == "HAS CONCEPT MOD"]
    return [name for child in found if (name := _meaning(child, but=None))]


def _meaning(item: ContentItem, *, but: str | None) -> str | None:
    code = item.data_set.item("0040A168")
    if code is None or (but is not None and code_of(code) == but):
        return None
    return code.text("00080104", "ConceptCodeSequence")
