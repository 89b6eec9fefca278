"""Whether a chaos run kept the guarantees. Pure: evidence in, violations out."""

import bisect
import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.evidence import Evidence, Sample, Transaction, Written
from tests.chaos.model import ABSENT, ANY, Model, Study
from tests.chaos.repeats import without_repeats

__all__ = ["Verdict", "judge"]

Resource = Mapping[str, Any]


@dataclass(slots=True)
class Verdict:
    """What was broken, and what there was to break."""

    violations: list[str] = field(default_factory=list)
    figures: Counter[str] = field(default_factory=Counter)


def judge(evidence: Evidence) -> Verdict:
    """Every check; a run is sound when nothing is violated."""
    verdict = Verdict()
    evidence, repeats = without_repeats(evidence)  # what docs/producer.md says may be there again is not judged
    model = Model(evidence.records, evidence.letters)
    verdict.violations += _topic(evidence)
    verdict.violations += model.faults
    replay = _Replay(model, verdict)
    replay.run(evidence)
    verdict.violations += _final(model, replay, evidence)
    verdict.figures.update(
        events=len(evidence.records),
        studies=len(model.studies),
        letters=len({(letter.partition, letter.offset) for letter in evidence.letters}),
        letters_sent_again=len(evidence.letters) - len({(one.partition, one.offset) for one in evidence.letters}),
        transactions=len(evidence.transactions),
        offset_samples=len(evidence.samples),
        events_repeated_to_end_a_transaction=repeats,
    )
    return verdict


def _topic(evidence: Evidence) -> Iterator[str]:
    """G1: every change once, as it was logged, a study's in feed order in one partition."""
    rows = {row.sequence: row for row in evidence.rows}
    times = Counter(record.event.sequence for record in evidence.records)
    yield from (f"sequence {n} is not on the topic" for n in sorted(rows.keys() - times.keys()))
    yield from (f"sequence {n} is on the topic and not in the feed" for n in sorted(times.keys() - rows.keys()))
    yield from (f"sequence {n} is on the topic {count} times" for n, count in sorted(times.items()) if count > 1)
    places: dict[str, tuple[int, int]] = {}
    for record in evidence.records:
        event, row = record.event, rows.get(record.event.sequence)
        said = (event.action.value.lower(), event.study_instance_uid, event.series_instance_uid, event.sop_instance_uid)
        if row is not None and said != (row.action.lower(), row.study, row.series, row.sop):
            yield f"sequence {event.sequence} is another change on the topic"
        if record.key != event.study_instance_uid:
            yield f"sequence {event.sequence} has another key than its study"
        partition, before = places.get(record.key, (record.partition, -1))
        if partition != record.partition or event.sequence <= before:
            yield f"sequence {event.sequence} comes after {before} of its study"
        places[record.key] = (record.partition, event.sequence)


class _Replay:
    """FHIR's writes and the group's offsets, gone through in the order of their time.

    At every moment an instance must show an event no older than the last one that the group's offset has passed: an
    offset that runs ahead, and a write that turns something back, both break it.
    """

    def __init__(self, model: Model, verdict: Verdict) -> None:
        self.live: dict[tuple[str, str], Resource] = {}
        self.versions: Counter[str] = Counter()
        self._model = model
        self._verdict = verdict
        self._state: dict[str, dict[str, int | None]] = defaultdict(dict)
        self._reached: dict[str, int] = {}
        self._offsets: dict[int, int] = {}
        self._by_partition: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
        for uid, study in model.studies.items():
            for sop, instance in study.instances.items():
                self._by_partition[instance.partition] += [(offset, uid, sop) for offset in instance.certain]
        for places in self._by_partition.values():
            places.sort()

    def run(self, evidence: Evidence) -> None:
        """Notes violations and figures."""
        for moment in heapq.merge(evidence.transactions, evidence.samples, key=lambda one: one.at_s):
            if isinstance(moment, Sample):
                self._sample(moment)
            else:
                self._transaction(moment)

    def _sample(self, sample: Sample) -> None:
        if sample.is_replay:
            self._offsets = dict(sample.offsets)
            return
        for partition, offset in sample.offsets.items():
            before = self._offsets.get(partition, 0)
            self._offsets[partition] = max(offset, 0)
            if offset < before:
                self._violated(f"the offset of partition {partition} went back from {before} to {offset}")
            places = self._by_partition[partition]
            first, end = (bisect.bisect_left(places, (place,)) for place in (before, offset))
            for _, uid, sop in places[first:end]:
                self._check(uid, sop, f"the offset of partition {partition} is {offset}")

    def _transaction(self, transaction: Transaction) -> None:
        for written in transaction.versions:
            key = (written.type, written.id)
            former = self.live.pop(key, None)
            self._verdict.figures[f"writes_{written.type}"] += 1
            if written.resource is not None:
                self._check_churn(written, former)
                self.live[key] = written.resource
            if written.type == "ImagingStudy":
                self._study(written.resource or former, is_there=written.resource is not None)
        for written in transaction.versions:
            if written.resource is not None:
                self._check_alone(written.type, written.resource)

    def _check_churn(self, written: Written, former: Resource | None) -> None:
        if former is not None and written.resource is not None and _content(former) == _content(written.resource):
            self._violated(f"{written.type}/{written.id} was written with nothing new in version {written.number}")

    def _check_alone(self, resource_type: str, resource: Resource) -> None:
        mine = _identifier(resource)
        found = [i for (t, i), other in self.live.items() if t == resource_type and _identifier(other) == mine]
        if len(found) > 1:
            self._violated(f"there are {len(found)} of {resource_type} {mine}: {found}")

    def _study(self, resource: Resource | None, *, is_there: bool) -> None:
        if resource is None:
            return
        uid = study_uid(resource)
        before, now = self._state[uid], instances(resource) if is_there else {}
        self._state[uid] = {sop: number for sop, (_, number) in now.items()}
        for sop in sorted({*before, *self._state[uid]}):
            if before.get(sop) != self._state[uid].get(sop):
                self._check(uid, sop, "a write")
                self._count_redo(uid, sop)

    def _check(self, uid: str, sop: str, occasion: str) -> None:
        instance = self._model.studies[uid].instances.get(sop)
        state = self._state[uid].get(sop)
        if instance is None:
            self._violated(f"{sop} is in FHIR, and no event says so")
            return
        allowed = instance.allowed(self._offsets.get(instance.partition, 0))
        if state not in allowed and not (ANY in allowed and state is not ABSENT):
            wanted = sorted(str(one) for one in allowed)
            self._violated(f"{occasion}: {sop} is {state} in FHIR, and must be one of {wanted}")

    def _count_redo(self, uid: str, sop: str) -> None:
        state, instance = self._state[uid].get(sop), self._model.studies[uid].instances.get(sop)
        last = max((e.sequence for e in instance.effects if e.number == state), default=0) if instance else 0
        if last < self._reached.get(sop, 0):
            self._verdict.figures["writes_undone_and_redone"] += 1
        self._reached[sop] = max(last, self._reached.get(sop, 0))

    def _violated(self, text: str) -> None:
        self._verdict.violations.append(text)


def _final(model: Model, replay: _Replay, evidence: Evidence) -> Iterator[str]:
    """What is left in FHIR, study by study, patient by patient; and what the DICOM server itself still holds."""
    found = {study_uid(one): one for (kind, _), one in replay.live.items() if kind == "ImagingStudy"}
    patients = {f"Patient/{i}": one for (kind, i), one in replay.live.items() if kind == "Patient"}
    yield from (f"study {uid} is in FHIR, and in no event" for uid in found.keys() - model.studies.keys())
    for uid, study in model.studies.items():
        yield from _final_study(uid, study, found.get(uid), patients)
    for patient in patients.values():
        number = patient["identifier"][0]["value"]
        name = next(iter(patient.get("name", [])), {})
        called = "^".join([name.get("family", ""), *name.get("given", [])])
        names = model.names(number)
        if names and called not in names:
            yield f"patient {number} is called {called!r}, and must be one of {sorted(names)}"
    listed = {sop: number for one in found.values() for sop, (_, number) in instances(one).items()}
    certain = {sop: one for study in model.studies.values() for sop, one in study.instances.items()}
    for sop, number in evidence.live.items():
        last = certain[sop].effects[-1] if sop in certain and certain[sop].effects else None
        if last is not None and last.number == number != listed.get(sop):
            yield f"{sop} is {number} on the DICOM server and {listed.get(sop)} in FHIR"
    yield from (f"{sop} is in FHIR and not on the DICOM server" for sop in sorted(listed.keys() - evidence.live.keys()))


def _final_study(uid: str, study: Study, resource: Resource | None, patients: Mapping[str, Resource]) -> Iterator[str]:
    must = {sop: one for sop, one in study.instances.items() if one.effects and one.effects[-1].number is not ABSENT}
    if not must or resource is None:
        if must or resource is not None:
            yield f"study {uid} is {'not ' if must else ''}in FHIR, with {len(must)} instances to have"
        return
    there = instances(resource)
    if {s: one.series for s, one in must.items()} != {s: series for s, (series, _) in there.items()}:
        yield f"study {uid} has {sorted(there)} in FHIR, and must have {sorted(must)}"
    for sop, instance in must.items():
        number = instance.effects[-1].number
        if number != ANY and sop in there and there[sop][1] != number:
            yield f"{sop} is {there[sop][1]} in FHIR, and must be {number}"
    series = {one.series for one in must.values()}
    counts = (resource.get("numberOfSeries"), resource.get("numberOfInstances"))
    if counts != (len(series), len(must)):
        yield f"study {uid} counts {counts} for {len(series)} series and {len(must)} instances"
    modalities = sorted({study.modalities[one] for one in series if one in study.modalities})
    if sorted(one["code"] for one in resource.get("modality", [])) != modalities:
        yield f"study {uid} has other modalities than {modalities}"
    if resource.get("status") != "available":
        yield f"study {uid} is {resource.get('status')}"
    if study.description is not None and resource.get("description") != study.description:
        yield f"study {uid} is described as {resource.get('description')!r}, and must be {study.description!r}"
    subject = patients.get(resource["subject"]["reference"], {})
    if subject.get("identifier", [{}])[0].get("value") != study.patient:
        yield f"study {uid} is of another patient than {study.patient}"


def study_uid(resource: Resource) -> str:
    """Its Study Instance UID."""
    return str(resource["identifier"][0]["value"]).removeprefix("urn:oid:")


def instances(resource: Resource) -> dict[str, tuple[str, int | None]]:
    """SOP Instance UID → series UID and instance number."""
    return {
        one["uid"]: (series["uid"], one.get("number"))
        for series in resource.get("series", [])
        for one in series.get("instance", [])
    }


def _identifier(resource: Resource) -> tuple[str, str]:
    first = resource["identifier"][0]
    return str(first.get("system")), str(first["value"])


def _content(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name != "meta"}
