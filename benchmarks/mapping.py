"""Part 3: the mapping on one core, beside orjson parsing the same metadata, and beside dicom2fhir."""

import itertools

import orjson
from dicomcast_consumer.mapping import (
    InstanceChange,
    MappingOptions,
    Resource,
    SourceProfile,
    fold,
    merge_patient,
    merge_study,
    read_event,
    settle,
)
from dicomcast_schemas import DicomChangeEvent, decode, encode

from .beside_dicom2fhir import seconds_per_instance
from .result import Row
from .usage import slices
from .workloads import FEED, Shape, events

__all__ = ["measure"]

_PROFILE = SourceProfile(feed=FEED, dicomweb_url="http://pacs.example/dicom-web")
_OPTIONS = MappingOptions()


def measure(*, quick: bool) -> list[Row]:
    """A lone event with validation, and runs of 500 instances."""
    rounds, run = (20, 20) if quick else (400, 500)
    found = events(Shape(modality="CT", studies=1, instances=run))
    values = [encode(event) for event in found]
    texts = [event.metadata or "" for event in found]
    seen = _stored(*_delta(None, None, [_read(found[0])]))
    turn = itertools.cycle(range(1, run))

    def lone_new() -> None:
        _delta(None, None, [_read(found[next(turn)])])

    def lone_added() -> None:
        _delta(*seen, [_read(found[next(turn)])])

    def parse_all() -> None:
        for text in texts:
            orjson.loads(text)

    lone = slices(
        ("orjson", lambda: orjson.loads(texts[next(turn)])),
        ("read", lambda: _read(found[next(turn)])),
        ("new study", lone_new),
        ("added", lone_added),
        rounds=rounds,
        calls=4,
    )
    whole = slices(
        ("orjson", parse_all),
        ("ours", lambda: _delta(None, None, [_read(decode(value)) for value in values])),
        rounds=max(rounds // 50, 2),
        calls=1,
    )
    microseconds = {name: round(s * 1e6, 1) for name, s in lone.items()}
    per_instance = {name: round(s / run * 1e6, 1) for name, s in whole.items()}
    rows = [
        Row(
            name="one event, read and added to its study / orjson",
            ratio=lone["added"] / lone["orjson"],
            unit="× its time",
            reach="<= 2.5",
            measured={"microseconds": microseconds, "header_bytes": len(texts[0])},
        ),
        Row(
            name="one event, the first of a new study and patient / orjson",
            ratio=lone["new study"] / lone["orjson"],
            unit="× its time",
            reach="<= 2.5",
            measured={"microseconds": microseconds},
        ),
        Row(
            name=f"runs of {run}, from record to resource / orjson",
            ratio=whole["orjson"] / whole["ours"],
            unit="of its rate",
            reach=">= 0.4",
            measured={"microseconds_per_instance": per_instance, "instances_per_s": round(run / whole["ours"])},
        ),
    ]
    return rows + _beside_dicom2fhir(texts, whole["ours"] / run, quick=quick)


def _beside_dicom2fhir(texts: list[str], ours_s: float, *, quick: bool) -> list[Row]:
    theirs = None if quick else seconds_per_instance(texts)
    if theirs is None:
        return []
    return [
        Row(
            name="runs, from record to resource / dicom2fhir 0.1.25",
            ratio=theirs / ours_s,
            unit="× its rate",
            reach=">= 5",
            measured={"microseconds_per_instance": {"ours": ours_s * 1e6, "dicom2fhir": theirs * 1e6}},
        )
    ]


def _read(event: DicomChangeEvent) -> InstanceChange:
    return read_event(event, profile=_PROFILE, options=_OPTIONS)


def _delta(
    study: Resource | None, patient: Resource | None, changes: list[InstanceChange]
) -> tuple[Resource, Resource]:
    """The study and the patient as they are to be."""
    settlement = settle(study, fold(changes), current_patient=patient, patients={}, profile=_PROFILE, options=_OPTIONS)
    (told,) = settlement.patients
    merged = merge_patient(told.patient, told.values, options=_OPTIONS)
    merge = merge_study(
        study,
        settlement,
        study_instance_uid=changes[0].study_instance_uid,
        subject="Patient/1",
        endpoint="Endpoint/1",
        profile=_PROFILE,
        options=_OPTIONS,
    )
    assert merge.resource is not None
    return merge.resource, merged.resource


def _stored(study: Resource, patient: Resource) -> tuple[Resource, Resource]:
    """With the ids and versions that a server gives them."""
    return _with_id(study, "2"), _with_id(patient, "1")


def _with_id(resource: Resource, identity: str) -> Resource:
    return {**resource, "id": identity, "meta": {**resource["meta"], "versionId": "1"}}
