"""Every file of pydicom's own test data becomes valid R4, with every choice of the settings, or is rejected by name."""

import dataclasses
import json
from typing import Any

import pytest
from dicomcast_consumer.__main__ import app
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import InstanceChange, MappingOptions, read_event
from dicomcast_schemas import DicomChangeEvent
from msgspec.structs import replace
from pydicom.datadict import tag_for_keyword
from typer.testing import CliRunner

from tests.contract.validator.choices import choices, everything, profile
from tests.contract.validator.mapped import FILES, MAPPED, map_events, pydicom_events
from tests.contract.validator.verdicts import faults
from tests.services.judge import Validator

CHOICES = choices()
REJECTIONS = {"map.patient_id_missing", "map.uid_invalid", "map.patient_conflict", "map.strict"}
"""All that the files are rejected for."""


@pytest.mark.parametrize("choice", CHOICES)
def test_each_choice_makes_valid_resources(validator: Validator, choice: str) -> None:
    mapped = map_events(pydicom_events(), CHOICES[choice], profile())
    assert faults(validator, mapped.resources) == set()
    assert set(mapped.rejected) <= REJECTIONS
    assert mapped.resources or choice == "strict"


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/Sao_Paulo", "Asia/Kolkata"])
def test_every_choice_at_once_with_a_source_of_its_own(validator: Validator, timezone: str) -> None:
    source = profile(
        timezone=timezone, patient_system="urn:oid:1.2.36.1", accession_system="https://ris.example/accession"
    )
    mapped = map_events(pydicom_events(), everything(), source)
    assert faults(validator, mapped.resources) == set()
    assert len(mapped.changes) > 150


def test_the_bundle_that_map_writes(validator: Validator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DICOMCAST_CONFIG", "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS", "DICOMCAST_FHIR__URL"):
        monkeypatch.delenv(name, raising=False)
    arguments = ["map", str(FILES), "--source-url", "https://pacs.example/dicom-web"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    bundle = json.loads(result.stdout)
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert result.exit_code == 65
    assert faults(validator, [bundle, *(entry["resource"] for entry in bundle["entry"])]) == set()
    mapped = map_events(pydicom_events(), MappingOptions(), profile())
    reported = [(line["attribute"], line["reason"]) for line in lines if "sop_instance_uid" in line]
    assert reported == [(o.attribute, o.reason) for change in mapped.changes for o in change.omissions]
    assert reported
    codes = [line["code"] for line in lines if str(line.get("code")).startswith("map.")]
    assert sorted(codes) == sorted(mapped.rejected)


SAYS_NOTHING = {
    ("TimezoneOffsetFromUTC", '["-0400"]'),  # there is no time in these
    ("ReferringPhysicianName", '[{"Alphabetic": "^^^^"}]'),
    ("ReferringPhysicianName", '[{"Alphabetic": ""}]'),
    ("PatientName", '[{"Alphabetic": "^^^^"}]'),
    ("PatientBirthDate", '[""]'),
    ("Laterality", '[""]'),
}
"""Values of pydicom's files that nothing can be made of."""


def test_what_is_left_out_is_reported() -> None:
    """Without an attribute something else is said of the instance, or it was reported, or it says nothing."""
    found = {
        (keyword, json.dumps(value))
        for event in pydicom_events()
        for keyword, value in _without_effect(event)
        if not (keyword == "RequestAttributesSequence" and "0040100A" not in value[0] and "00401002" not in value[0])
    }
    assert found == SAYS_NOTHING


def _without_effect(event: DicomChangeEvent) -> list[tuple[str, Any]]:
    """The mapped attributes of which neither a value nor a report comes."""
    whole = _read(event)
    if whole is None:
        return []
    assert event.metadata is not None
    data_set = json.loads(event.metadata)
    found = []
    for keyword in MAPPED:
        tag = f"{tag_for_keyword(keyword):08X}"
        value = data_set.get(tag, {}).get("Value")
        if not value or any(omission.attribute == keyword for omission in whole.omissions):
            continue
        less = {name: element for name, element in data_set.items() if name != tag}
        rest = _read(dataclasses.replace(event, metadata=json.dumps(less)))
        if rest is not None and replace(rest, omissions=()) == replace(whole, omissions=()):
            found.append((keyword, value))
    return found


def _read(event: DicomChangeEvent) -> InstanceChange | None:
    try:
        return read_event(event, profile=profile(), options=MappingOptions(missing_patient_id="placeholder"))
    except RejectedError:
        return None
