"""Radiation dose reports: what is read of them, and how their Observations are merged."""

import importlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from dicomcast_consumer import exact_json
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import InstanceChange, MappingOptions, Resource, read_event
from dicomcast_consumer.mapping.dose_observation import STUDY_OF_DOSE_SYSTEM
from dicomcast_consumer.mapping.dose_terms import AGENT_TERMS, EVENT_TERMS, SUMMARY_TERMS
from dicomcast_schemas import Action, DicomChangeEvent

from tests.unit.mapping.dose_reports import (
    Item,
    accumulated,
    container,
    ct_report,
    item,
    moment,
    num,
    report,
    uid,
    xray_event,
)
from tests.unit.mapping.scene import PROFILE, Scene, change, data_set, event, omissions

DOSE = MappingOptions(observations="dose")
SR, OTHER_SR = "1.2.3.9.1", "1.2.3.9.2"


def sent(
    sequence: int = 1, instance: str = SR, *, action: Action = Action.CREATE, **by_keyword: Any
) -> DicomChangeEvent:
    """An event of a report instance."""
    return event(sequence, action=action, series="1.2.3.9", instance=instance, **by_keyword)


def image(sequence: int, **rest: Any) -> DicomChangeEvent:
    return event(sequence, **rest)


def read(*content: Item, **by_keyword: Any) -> InstanceChange:
    return change(options=DOSE, **report(*content, **by_keyword))


def value_of(found: InstanceChange) -> Any:
    """The value of the only component of the summary."""
    assert found.dose is not None
    (component,) = found.dose.components
    return component.value


def quantities(observation: Resource) -> dict[str, Decimal]:
    return {c["code"]["text"]: c["valueQuantity"]["value"] for c in observation["component"] if "valueQuantity" in c}


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('"1.6e-005"', "0.000016"),
        ('" 12.30 "', "12.30"),
        ('"+7"', "7"),
        ("12.30", "12.30"),
        ("1.6e-5", "0.000016"),
        ("0.1000000000000000055", "0.1000000000000000055"),
        ('"-0.0"', "-0.0"),
        ('".5"', "0.5"),
        ("0", "0"),
    ],
)
def test_a_number_keeps_its_digits_from_metadata_to_request(written: str, text: str) -> None:
    metadata = json.dumps(data_set(**report(accumulated(num("113725", "NUMBER", "Gy"))))).replace('"NUMBER"', written)
    scene = Scene(options=DOSE)
    scene.send(event(metadata=metadata))
    assert f'"value":{text},'.encode() in exact_json.dumps(scene.observations["1.2.3.1.1"])


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("0,5", "number_invalid"),
        ("NaN", "number_invalid"),
        ("1e400", "number_out_of_range"),
        ("1e-400", "number_out_of_range"),
        ("1" * 19, "number_out_of_range"),
        (True, "number_invalid"),
        ({"a": 1}, "number_invalid"),
    ],
)
def test_a_number_that_is_none_is_left_out_and_reported(number: Any, reason: str) -> None:
    found = read(accumulated(num("113725", number, "Gy")), uid("1"), xray_event("1.2.7.1"))
    assert found.dose is not None
    assert found.dose.components == ()
    assert omissions(found) == {("NumericValue", reason)} | {("DateTime", "offset_unknown")}


def test_a_number_without_value_is_no_omission() -> None:
    found = read(
        accumulated(item("NUM", "113725"), num("113730", None, "s")), container("113811", num("113813", "1", "mGy.cm"))
    )
    assert omissions(found) == set()
    assert value_of(found).value == 1


@pytest.mark.parametrize(
    ("unit", "scheme", "code"),
    [
        ("Gym2", "UCUM", "Gy.m2"),
        ("uGym2", "UCUM", "uGy.m2"),
        ("dGy.cm2", "UCUM", "dGy.cm2"),
        ("mGycm", "UCM", "mGy.cm"),
        ("mGy*cm", "ucum", "mGy.cm"),
        ("µGy.m2", "UCUM", "uGy.m2"),
        ("Gy.m^2", "UCUM", "Gy.m2"),
        ("pulse/s", "UCUM", "{pulse}/s"),
        ("no units", "UCUM", "1"),
        ("{frames}", "UCUM", "{frames}"),
        ("mGy", "99LOCAL", None),
        ("furlong", "UCUM", None),
        ("{a b}", "UCUM", None),
    ],
)
def test_units(unit: str, scheme: str, code: str | None) -> None:
    found = read(accumulated(num("113725", "1", unit, scheme=scheme, meaning="in words")))
    assert (value_of(found).code, value_of(found).unit) == (code, "in words")
    assert omissions(found) == (set() if code else {("MeasurementUnitsCodeSequence", "unit_unknown")})


@pytest.mark.parametrize(
    ("written", "expected", "reason"),
    [
        ("20240501101530.25", "2024-05-01T10:15:30.25+02:00", None),
        ("20240501101530-0500", "2024-05-01T10:15:30-05:00", None),
        ("202405011015", "2024-05-01T10:15:00+02:00", None),
        ("2024050110", "2024-05-01", "time_without_minutes"),
        ("20240501", "2024-05-01", None),
        ("202405", "2024-05", None),
        ("20240501101530+9900", "2024-05-01T10:15:30+02:00", "offset_invalid"),
        ("20240501259999", "2024-05-01", "time_invalid"),
        ("20240231101530", None, "date_time_invalid"),
        ("May 1st", None, "date_time_invalid"),
    ],
)
def test_the_start_of_an_event(written: str, expected: str | None, reason: str | None) -> None:
    found = read(xray_event("1.2.7.1", started=written), TimezoneOffsetFromUTC="+0200")
    assert found.dose is not None
    assert found.dose.events[0].started == expected
    assert omissions(found) == ({("DateTime", reason)} if reason else set())


def test_without_a_start_the_report_has_that_of_the_study() -> None:
    found = read(accumulated(num("113725", "1", "Gy")), StudyDate="20240501")
    assert found.dose is not None
    assert found.dose.started == "2024-05-01"


@pytest.mark.parametrize(
    ("completion", "preliminary", "status"),
    [
        ("COMPLETE", None, "final"),
        ("COMPLETE", "FINAL", "final"),
        ("COMPLETE", "PRELIMINARY", "preliminary"),
        ("PARTIAL", "FINAL", "preliminary"),
        (None, "FINAL", "final"),
        (None, None, "preliminary"),
    ],
)
def test_status(completion: str | None, preliminary: str | None, status: str) -> None:
    found = read(xray_event("1.2.7.1"), CompletionFlag=completion, PreliminaryFlag=preliminary)
    assert found.dose is not None
    assert found.dose.status == status


@pytest.mark.parametrize(
    ("by_keyword", "is_report"),
    [
        ({}, True),
        ({"Modality": None}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, True),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "Modality": "CT"}, False),
        ({"ConceptNameCodeSequence": {"CodeValue": " 113701 "}}, True),
        ({"ConceptNameCodeSequence": {"CodeValue": "121065"}}, False),
        ({"ConceptNameCodeSequence": None}, False),
    ],
)
def test_which_instances_are_reports(by_keyword: dict[str, Any], is_report: bool) -> None:
    found = read(xray_event("1.2.7.1"), **by_keyword)
    assert (found.dose is not None) is is_report


def test_with_the_option_off_the_content_is_not_even_looked_at() -> None:
    metadata = {**data_set(**report()), "0040A730": {"vr": "SQ", "Value": 17}}
    assert change(metadata=metadata).omissions == ()


@pytest.mark.parametrize("levels", [39, 60, 400, 3_000])
def test_absurd_depth_is_cut_and_the_instance_is_there(levels: int) -> None:
    content = json.dumps(data_set(**report(accumulated(num("113725", "1", "Gy")), {"ValueType": "DEEP"})))
    deep = '{"0040A730":{"vr":"SQ","Value":[' * (levels - 1) + "{}" + "]}}" * (levels - 1)
    metadata = content.replace('{"0040A040": {"vr": "CS", "Value": ["DEEP"]}}', deep)
    assert len(metadata) > len(content)
    scene = Scene(options=DOSE)
    found = read_event(event(metadata=metadata), profile=PROFILE, options=DOSE)
    scene.apply([found])
    assert scene.study is not None
    assert quantities(scene.observations["1.2.3.1.1"]) == {"Dose (RP) Total": 1}
    assert omissions(found) == (set() if levels < 40 else {("ContentSequence", "too_deep")})


def test_a_report_of_another_uid_than_its_event() -> None:
    """An event cannot be the report itself: both would be one Observation."""
    scene = Scene(options=DOSE)
    scene.send(sent(**report(xray_event(SR), xray_event("1.2.7.1"))))
    assert scene.observations.keys() == {SR, "1.2.7.1"}


# --- merging ---


def test_an_older_report_does_not_undo_a_newer_one() -> None:
    scene = Scene(options=DOSE)
    first, second = (
        sent(1, **ct_report("1.2.7.1", dlp="1")),
        sent(2, action=Action.UPDATE, **ct_report("1.2.7.2", dlp="2")),
    )
    scene.send_each(image(0), first, second)
    before, writes = scene.content(), scene.writes
    scene.send(first)
    assert (scene.content(), scene.writes) == (before, writes)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_of_an_event_in_two_reports_the_newer_one_decides_in_any_order(order: tuple[int, int]) -> None:
    reports = [
        sent(1, SR, **report(xray_event("1.2.7.1", num("113738", "1", "Gy"), num("122130", "3", "Gy.m2")))),
        sent(2, OTHER_SR, **report(xray_event("1.2.7.1", num("113738", "2", "Gy")))),
    ]
    one_by_one, at_once = Scene(options=DOSE), Scene(options=DOSE)
    one_by_one.send_each(*(reports[n] for n in order))
    at_once.send(*(reports[n] for n in order))
    for scene in (one_by_one, at_once):
        assert quantities(scene.observations["1.2.7.1"]) == {"Dose (RP)": 2}
        assert scene.observations.keys() == {SR, OTHER_SR, "1.2.7.1"}


def test_an_event_goes_with_the_last_summary_that_names_it() -> None:
    scene = Scene(options=DOSE)
    scene.send_each(image(1), sent(2, SR, **ct_report("1.2.7.1")), sent(3, OTHER_SR, **ct_report("1.2.7.1")))
    scene.send(sent(4, OTHER_SR, action=Action.DELETE))
    assert scene.observations.keys() == {SR, "1.2.7.1"}
    scene.send(sent(5, SR, action=Action.DELETE))
    assert scene.observations == {}


def test_an_event_of_an_update_that_was_cut_off_before_its_deletion_goes_with_the_next_attempt() -> None:
    """The summary was written, the event not yet deleted, when the process died: the event comes again."""
    scene = Scene(options=DOSE)
    update = sent(3, action=Action.UPDATE, **ct_report("1.2.7.1"))
    scene.send_each(image(1), sent(2, **ct_report("1.2.7.1", "1.2.7.2")))
    event_left = scene.observations["1.2.7.2"]
    scene.send(update)
    scene.observations["1.2.7.2"] = event_left
    scene.send(update)
    assert scene.observations.keys() == {SR, "1.2.7.1"}


def test_observations_of_others_are_not_ours_though_they_name_the_report() -> None:
    theirs = {
        "resourceType": "Observation",
        "id": "x",
        "identifier": [{"system": "urn:dicom:uid", "value": f"urn:oid:{SR}"}],
        "status": "final",
        "code": {"text": "dose, by hand"},
    }
    scene = Scene(theirs, options=DOSE)
    scene.send_each(image(1), sent(2, **ct_report("1.2.7.1")), sent(3, action=Action.DELETE))
    assert scene.observations == {"x": theirs}


def test_two_of_one_identity_are_reported_the_first_is_kept_up_and_both_go() -> None:
    scene = Scene(options=DOSE)
    scene.send_each(image(1), sent(2, **ct_report("1.2.7.1")))
    scene.put({**scene.observations["1.2.7.1"], "id": "z"})
    scene.send(sent(3, action=Action.UPDATE, **ct_report("1.2.7.1", dlp="9")))
    assert scene.report == ["observation_doubled"]
    assert scene.observations.keys() == {SR, "1.2.7.1", "z"}
    scene.send(sent(4, action=Action.DELETE))
    assert scene.observations == {}


def test_an_observation_that_is_not_valid_is_not_written_and_nothing_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(resource: Resource) -> None:
        raise RejectedError("map", "map.invalid_resource", "-")

    module = importlib.import_module("dicomcast_consumer.mapping.merge_dose")
    monkeypatch.setattr(module, "validate_new", refuse)
    scene = Scene(options=DOSE)
    scene.send(sent(**ct_report("1.2.7.1")))
    assert scene.study is not None
    assert (scene.observations, scene.rejected, scene.report) == ({}, [], ["observation_invalid"])


@pytest.mark.parametrize(
    ("element", "value"),
    [
        ("status", "amended"),
        ("note", [{"text": "read"}]),
        ("performer", [{"display": "RT"}]),
        ("bodySite", {"text": "chest"}),
        ("partOf", [{"reference": "Procedure/1"}, {"reference": "ImagingStudy/s"}]),
        ("identifier", lambda known: [{"value": "X"}, *known]),
        ("category", lambda known: [*known, {"text": "x"}]),
        ("hasMember", lambda known: [*known, {"reference": "Observation/theirs"}]),
        ("component", lambda known: [*known, {"code": {"text": "size"}, "valueString": "L"}]),
    ],
)
def test_what_others_wrote_stays_and_is_no_reason_to_write(element: str, value: Any) -> None:
    events = [image(1), sent(2, **ct_report("1.2.7.1"))]
    scene = Scene(options=DOSE)
    scene.send_each(*events)
    known = scene.observations[SR]
    made = value(known.get(element)) if callable(value) else value
    scene.put({**known, element: made})
    writes = scene.writes
    scene.send_each(*events)
    assert scene.writes == writes
    scene.send(sent(3, action=Action.UPDATE, **ct_report("1.2.7.1", dlp="9")))
    after = scene.observations[SR]
    if element == "bodySite":  # an element of ours: what the new report has, which is nothing
        assert element not in after
    elif isinstance(made, list):
        assert all(entry in after[element] for entry in made if entry not in (known.get(element) or ()))
    else:
        assert after[element] == made
    assert "9 mGy.cm" in after["valueString"]


def test_start_of_the_report_is_the_first_instant_whatever_the_offsets() -> None:
    found = read(
        moment("20240501120000+0200", "113809"),
        xray_event("1.2.7.1", started="20240501093000-0500"),
        xray_event("1.2.7.2", started="20240501095960+0000"),
    )
    assert found.dose is not None
    assert found.dose.started == "2024-05-01T09:59:60+00:00"


def test_the_page_for_users_names_every_concept() -> None:
    page = " ".join((Path(__file__).parents[3] / "docs" / "mapping-dose.md").read_text(encoding="utf-8").split())
    for terms in (SUMMARY_TERMS, EVENT_TERMS, AGENT_TERMS):
        for _, concept, display in terms.values():
            assert f"{concept} {display}" in page
    assert STUDY_OF_DOSE_SYSTEM in page
