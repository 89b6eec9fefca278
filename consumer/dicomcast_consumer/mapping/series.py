"""ImagingStudy.series and its instances: found by UID, upserted, removed, counted, in a fixed order."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .as_of import is_vaguer_coding, offer
from .fragments import Coding, sop_class_coding
from .identity import DATA_ABSENT_REASON, URI_SYSTEM, Resource, is_reference_to, urn_oid
from .marks import SERIES_ELEMENTS, Marks
from .order import INSTANCE_ORDER, SERIES_ORDER, arranged
from .started import offer_started
from .terminology import DCM, LATERALITY, LATERALITY_DISPLAY, SCT
from .unlisted import digest, digests, with_digests
from .validation import validate_instance, validate_series
from .values import InstanceChange, InstanceValues, Mark, SeriesValues

__all__ = ["SeriesList"]

_ABSENT_MODALITY = {"extension": [{"url": DATA_ABSENT_REASON, "valueCode": "unknown"}]}


class _Said(NamedTuple):
    values: SeriesValues
    by_its_only_instance: bool


@dataclass(slots=True)
class _Series:
    elements: Resource
    """Everything but the instances."""
    instances: dict[str, Resource] = field(default_factory=dict)
    unlisted: set[str] = field(default_factory=set)
    """Digests of the instances that it has without listing them."""
    fresh: set[str] = field(default_factory=set)
    """UIDs of instances that were not there before."""
    is_new: bool = False
    said: tuple[Mark, _Said] | None = None
    """What the last change said of it, not yet merged: said again and again it is merged once, with the last mark."""
    is_merged: bool = False
    """Something was merged: its marks are spread."""

    def count(self) -> int:
        """How many instances it has."""
        return len(self.instances) + len(self.unlisted)


class SeriesList:
    """The series of one study while it is merged. What the server sent is copied where it changes, never altered."""

    def __init__(self, series: list[Resource], *, lists_instances: bool = True) -> None:
        self._lists_instances = lists_instances
        self._series: dict[str, _Series] = {}
        self._place: dict[str, _Series] = {}
        self._unlisted: dict[str, _Series] = {}
        for entry in series:
            self._load(entry)

    def _load(self, entry: Resource) -> None:
        uid = str(entry.get("uid"))
        elements = {name: value for name, value in entry.items() if name != "instance"}
        series = self._series.setdefault(uid, _Series(elements))
        for instance in entry.get("instance") or ():
            sop_instance_uid = str(instance.get("uid"))
            if sop_instance_uid not in self._place:
                series.instances[sop_instance_uid] = instance
                self._place[sop_instance_uid] = series
        for name in digests(entry):
            if name not in self._unlisted:
                series.unlisted.add(name)
                self._unlisted[name] = series

    def __len__(self) -> int:
        return len(self._series)

    def lists(self, sop_instance_uid: str) -> bool:
        """Whether the study has the instance."""
        return sop_instance_uid in self._place or bool(self._unlisted and digest(sop_instance_uid) in self._unlisted)

    def remove(self, sop_instance_uid: str) -> None:
        """Take the instance out, and its series when that is empty then."""
        if sop_instance_uid in self._place:
            series = self._place.pop(sop_instance_uid)
            del series.instances[sop_instance_uid]
            series.fresh.discard(sop_instance_uid)
        else:
            name = digest(sop_instance_uid)
            series = self._unlisted.pop(name)
            series.unlisted.remove(name)
        if not series.count():
            del self._series[str(series.elements["uid"])]

    def upsert(self, change: InstanceChange, marks: Marks) -> None:
        """Put the instance into its series, with what the change says of both."""
        assert change.series is not None
        assert change.instance is not None
        uid = change.sop_instance_uid
        series = self._series.get(change.series_instance_uid)
        if series is None:
            series = _Series({"uid": change.series_instance_uid}, is_new=True)
            self._series[change.series_instance_uid] = series
            marks.drop_series(change.series_instance_uid)
        known = None
        place = self._place.get(uid)
        if place is None:
            self._take_from_unlisted(uid, series)
            series.fresh.add(uid)
        else:
            known = place.instances[uid]
            if place is not series:
                self.remove(uid)
        series.instances[uid] = _instance(known, uid, change.instance)
        self._place[uid] = series
        said = _Said(change.series, by_its_only_instance=series.count() == 1)
        if series.said is not None and series.said[1] != said:
            _merge_said(series, marks)
        series.said = (change.mark, said)

    def _take_from_unlisted(self, sop_instance_uid: str, series: _Series) -> None:
        """Forget its digest, if it has one; the series that the instance is to be in stays."""
        name = digest(sop_instance_uid) if self._unlisted else ""
        place = self._unlisted.get(name)
        if place is series:
            place.unlisted.remove(name)
            del self._unlisted[name]
        elif place is not None:
            self.remove(sop_instance_uid)

    def finish(self, marks: Marks) -> None:
        """Merge what is outstanding. Nothing below may be asked for before."""
        for uid, series in self._series.items():
            _merge_said(series, marks)
            if series.is_merged:
                marks.gather_series(uid, _marked(series))

    def repair(self) -> None:
        """Mend what DICOM Cast wrote: the modality's system, the SOP class without one."""
        for series in self._series.values():
            modality = series.elements.get("modality")
            if modality and modality.get("system") == "DCM":
                series.elements["modality"] = {**modality, "system": DCM}
            for uid, instance in series.instances.items():
                sop_class = instance.get("sopClass") or {}
                if sop_class.get("code") and not sop_class.get("system"):
                    repaired = {"system": URI_SYSTEM, **sop_class, "code": urn_oid(sop_class["code"])}
                    series.instances[uid] = {**instance, "sopClass": repaired}

    def uids(self) -> Collection[str]:
        """The Series Instance UIDs."""
        return self._series.keys()

    def modalities(self) -> list[Resource]:
        """The codings of all series, without those that have no code."""
        return [
            series.elements["modality"]
            for series in self._series.values()
            if (series.elements.get("modality") or {}).get("code")
        ]

    def body_sites(self) -> list[str]:
        """The SNOMED CT codes of all series' body sites."""
        sites = [series.elements.get("bodySite") or {} for series in self._series.values()]
        return [str(site["code"]) for site in sites if site.get("system") == SCT and site.get("code")]

    def refer(self, series_instance_uids: set[str], endpoint: str) -> None:
        """Add the Endpoint to these series, as far as they are there."""
        for uid in series_instance_uids & self._series.keys():
            elements = self._series[uid].elements
            known = elements.get("endpoint") or []
            if not any(is_reference_to(other, endpoint) for other in known):
                elements["endpoint"] = [*known, {"reference": endpoint}]

    def count_instances(self) -> int:
        """How many instances the study has."""
        return len(self._place) + len(self._unlisted)

    def json(self) -> list[Resource]:
        """R4 ImagingStudy.series: by number, those without last, then by UID; the instances likewise."""
        write = _entry if self._lists_instances else _entry_without_instances
        entries = (write(series, list(series.instances.values())) for series in self._series.values())
        return sorted(entries, key=_position)

    def validate(self) -> None:
        """Raises RejectedError when a new series, or a new instance of another one, is not valid R4.

        One instance stands for all that have the same elements: what is in these was checked when it was read.
        """
        for series in self._series.values():
            shapes = {tuple(instance): instance for uid in series.fresh for instance in (series.instances[uid],)}
            if series.is_new:
                validate_series(_content(series, list(shapes.values())))
            else:
                for instance in shapes.values():
                    validate_instance(instance)


def _entry(series: _Series, instances: list[Resource]) -> Resource:
    return arranged(_content(series, sorted(instances, key=_position)), SERIES_ORDER)


def _content(series: _Series, instances: list[Resource]) -> Resource:
    elements = {**series.elements, "numberOfInstances": len(instances) + len(series.unlisted)}
    elements.setdefault("modality", _ABSENT_MODALITY)
    if instances:
        elements["instance"] = instances
    if series.unlisted or digests(elements):
        elements = with_digests(elements, series.unlisted)
    return elements


def _entry_without_instances(series: _Series, instances: list[Resource]) -> Resource:
    entry = _entry(series, instances)
    entry.pop("instance", None)
    return arranged(with_digests(entry, series.unlisted | {digest(uid) for uid in series.instances}), SERIES_ORDER)


def _position(entry: Resource) -> tuple[bool, int, str]:
    number = entry.get("number")
    return (number is None, number or 0, str(entry.get("uid")))


def _instance(known: Resource | None, uid: str, values: InstanceValues) -> Resource:
    entry = {**(known or {}), "uid": uid, "sopClass": _sop_class(known, values)}
    if values.number is not None:
        entry["number"] = values.number
    if values.title is not None:
        entry["title"] = values.title
    if values.frames is not None:
        others = [e for e in entry.get("extension") or () if e.get("url") != values.frames.url]
        entry["extension"] = [*others, values.frames.json()]
    return arranged(entry, INSTANCE_ORDER)


def _sop_class(known: Resource | None, values: InstanceValues) -> Resource:
    coding = sop_class_coding(values.sop_class_uid, values.sop_class_display)
    if known is None:
        return coding
    present = known.get("sopClass") or {}
    return present if all(present.get(name) == value for name, value in coding.items()) else coding


def _merge_said(series: _Series, marks: Marks) -> None:
    if series.said is not None:
        mark, said = series.said
        if not series.is_merged:
            marks.spread_series(series.elements["uid"], _marked(series))
            series.is_merged = True
        _merge_series(series.elements, said.values, mark, marks)
        _merge_laterality(series.elements, said, mark, marks)
        series.said = None


def _marked(series: _Series) -> list[str]:
    """The elements that it has and that carry a mark."""
    return [element for element in SERIES_ELEMENTS if element in series.elements]


def _merge_series(elements: Resource, values: SeriesValues, mark: Mark, marks: Marks) -> None:
    prefix = f"series/{elements['uid']}/"

    def put(element: str, value: Any, **rule: Any) -> None:
        if value is not None:
            offer(elements, element, value, name=prefix + element, mark=mark, marks=marks, **rule)

    put("number", values.number)
    put("modality", _coding(values.modality, elements.get("modality")), is_vaguer=is_vaguer_coding)
    put("description", values.description)
    put("bodySite", _coding(values.body_site, elements.get("bodySite")), is_vaguer=is_vaguer_coding)
    offer_started(elements, values.started, values.between, name=f"{prefix}started", mark=mark, marks=marks)
    if values.performers:
        put("performer", [performer.json() for performer in values.performers])
    if values.specimens:
        _add_specimens(elements, [specimen.json() for specimen in values.specimens])


def _coding(value: Coding | None, known: Resource | None) -> Resource | None:
    """The coding as JSON; where the known one has the same code, with what else that has."""
    if value is None:
        return None
    coding = value.json()
    if known and value.code and all(known.get(name) == coding.get(name) for name in ("system", "code")):
        return {**coding, **known}
    return coding


def _merge_laterality(elements: Resource, said: _Said, mark: Mark, marks: Marks) -> None:
    """Laterality (0020,0060) decides and has a mark; without it the sides of the images add up.

    An only image says all that there is: its side takes the place of the one that it had before.
    """
    name, values = f"series/{elements['uid']}/laterality", said.values
    known = elements.get("laterality")
    if values.laterality is not None:
        coding = _coding(_side(values.laterality), known)
        if marks.get(name) is None:
            elements["laterality"] = coding
            marks.take(name, mark)
        else:
            offer(elements, "laterality", coding, name=name, mark=mark, marks=marks)
    elif values.image_laterality is not None and marks.get(name) is None:
        side = values.image_laterality
        known_side = next((s for s, code in LATERALITY.items() if (known or {}).get("code") == code), None)
        is_all = said.by_its_only_instance or known_side in (None, side)
        elements["laterality"] = _coding(_side(side if is_all else "B"), known)


def _add_specimens(elements: Resource, specimens: list[Resource]) -> None:
    """The images of a series may be of several specimens: they add up, in the order of their text."""
    known = elements.get("specimen") or []
    fresh = [specimen for specimen in specimens if specimen not in known]
    if fresh:
        elements["specimen"] = sorted([*known, *fresh], key=repr)


def _side(side: str) -> Coding:
    return Coding(system=SCT, code=LATERALITY[side], display=LATERALITY_DISPLAY[side])
