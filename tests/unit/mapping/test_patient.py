"""Patient: how it is identified, what is merged, what is left alone."""

from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import MappingOptions, Resource, SourceProfile
from dicomcast_consumer.mapping.fragments import PatientIdentifier

from tests.unit.mapping.scene import URL, Scene, change, event, omissions

DOE = {"PatientName": "Doe^Jane", "PatientSex": "F", "PatientBirthDate": "19700203"}


def _identifier(options: dict[str, Any], profile: SourceProfile | None = None, **attributes: Any) -> PatientIdentifier:
    profile = profile or SourceProfile(feed="pacs", dicomweb_url=URL)
    found = change(options=MappingOptions.model_validate(options), profile=profile, **attributes)
    assert found.patient is not None
    return found.patient.identifier


def test_the_identifier_has_no_system_unless_one_is_set() -> None:
    assert _identifier({}).json() == {"value": "P1"}
    assert _identifier({}).token == "|P1"
    assert _identifier({"patient": {"system": "urn:oid:1.2"}}).token == "urn:oid:1.2|P1"


def test_the_sources_own_system_comes_first() -> None:
    profile = SourceProfile(feed="pacs", dicomweb_url=URL, patient_system="urn:oid:9")
    assert _identifier({"patient": {"system": "urn:oid:1.2"}}, profile).system == "urn:oid:9"


def test_search_values_are_escaped() -> None:
    assert _identifier({}, PatientID=r"a,b|c$d\e").token == r"|a\,b\|c\$d\\e"


def _qualifiers(value: str, kind: str) -> dict[str, Any]:
    return {"IssuerOfPatientIDQualifiersSequence": {"UniversalEntityID": value, "UniversalEntityIDType": kind}}


ISSUERS = {
    "patient": {
        "system": "urn:oid:1",
        "use_issuer": True,
        "issuers": {"HOSP": "https://hosp.example/mrn", "hosp.example": "https://hosp.example/id"},
    }
}


@pytest.mark.parametrize(
    ("attributes", "system"),
    [
        ({}, "urn:oid:1"),
        ({"IssuerOfPatientID": "HOSP"}, "https://hosp.example/mrn"),
        ({"IssuerOfPatientID": "https://other.example"}, "https://other.example"),
        ({"IssuerOfPatientID": "1.2.3.4"}, "urn:oid:1.2.3.4"),
        (_qualifiers("1.2.9", "ISO"), "urn:oid:1.2.9"),
        (_qualifiers("urn:x:y", "URI"), "urn:x:y"),
        (
            _qualifiers("6F9619FF-8B86-D011-B42D-00C04FC964FF", "UUID"),
            "urn:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff",
        ),
        (_qualifiers("hosp.example", "DNS"), "https://hosp.example/id"),
        ({"IssuerOfPatientID": "HOSP", **_qualifiers("elsewhere.example", "DNS")}, "https://hosp.example/mrn"),
        ({"IssuerOfPatientID": "ELSEWHERE", **_qualifiers("1.2.9", "ISO")}, "urn:oid:1.2.9"),
        ({"IssuerOfPatientIDQualifiersSequence": {"IdentifierTypeCode": "MR"}}, "urn:oid:1"),
    ],
)
def test_issuers(attributes: dict[str, Any], system: str) -> None:
    assert _identifier(ISSUERS, **attributes).system == system


@pytest.mark.parametrize(
    "attributes",
    [
        {"IssuerOfPatientID": "ELSEWHERE"},
        {"IssuerOfPatientID": "hosp"},
        _qualifiers("elsewhere.example", "DNS"),
        _qualifiers("no uid", "ISO"),
        {"IssuerOfPatientID": "ELSEWHERE", **_qualifiers("elsewhere.example", "DNS")},
    ],
)
def test_the_number_of_an_issuer_that_is_not_known_is_nobodys(attributes: dict[str, Any]) -> None:
    with pytest.raises(RejectedError) as rejection:
        _identifier(ISSUERS, **attributes)
    assert rejection.value.code == "map.patient_issuer_unknown"
    assert "DICOMCAST_MAPPING__PATIENT__ISSUERS__" in str(rejection.value)
    assert "elsewhere" not in str(rejection.value).lower()


def test_another_number_whose_issuer_is_not_known_has_no_system_of_others() -> None:
    options = {"patient": {"other_ids": True, "other_ids_system": "urn:oid:2"}}
    item = {"PatientID": "Q", **_qualifiers("elsewhere.example", "DNS")}
    found = change(options=MappingOptions.model_validate(options), OtherPatientIDsSequence=item)
    assert found.patient is not None
    assert found.patient.other_identifiers == ()
    assert omissions(found) == {("OtherPatientIDsSequence", "issuer_unknown")}


@pytest.mark.parametrize("by_name", [True, False])
def test_one_number_of_two_issuers_is_never_one_patient(by_name: bool) -> None:
    options = MappingOptions.model_validate({"patient": {"use_issuer": True}})
    scene = Scene(options=options)
    scene.send(event(1, study="1.2.4", PatientID="P1", **DOE))
    before, codes = scene.content(), []
    for sequence, who in ((2, "HOSP_A"), (3, "HOSP_B")):
        issuer = {"IssuerOfPatientID": who} if by_name else _qualifiers(f"{who}.example", "DNS")
        try:
            scene.send(event(sequence, PatientName="Muster^Max", PatientSex="M", **issuer))
        except RejectedError as error:
            codes.append(error.code)
    assert (codes, scene.content()) == (["map.patient_issuer_unknown"] * 2, before)


def test_a_study_that_was_found_by_its_issuers_bare_number_is_moved_when_its_events_are_replayed() -> None:
    """How it was before an issuer had to be listed: assigner.display, and no system."""
    both = {"HOSP_A": "urn:oid:1.2.1", "HOSP_B": "urn:oid:1.2.2"}
    scene = Scene(options=MappingOptions.model_validate({"patient": {"use_issuer": True, "issuers": both}}))
    scene.send(event(1), event(2, instance="1.2.3.1.2"))
    scene.put({**scene.patient, "identifier": [{"value": "P1", "assigner": {"display": "HOSP_A"}}]})
    scene.send_each(event(1, IssuerOfPatientID="HOSP_B"), event(2, instance="1.2.3.1.2", IssuerOfPatientID="HOSP_B"))
    moved = scene.patients[scene.imaging_study["subject"]["reference"].removeprefix("Patient/")]
    assert moved["identifier"] == [{"system": "urn:oid:1.2.2", "value": "P1"}]
    assert (scene.rejected, scene.report) == ([], ["patient_changed"])


def test_issuers_are_not_looked_at_unless_asked_to() -> None:
    assert _identifier({}, IssuerOfPatientID="https://other.example").system is None


def test_a_new_patient() -> None:
    scene = Scene()
    scene.send(event(**DOE))
    assert {name: value for name, value in scene.patient.items() if name not in ("meta", "id")} == {
        "resourceType": "Patient",
        "identifier": [{"value": "P1"}],
        "name": [{"use": "usual", "family": "Doe", "given": ["Jane"]}],
        "gender": "female",
        "birthDate": "1970-02-03",
    }


def _foreign(**elements: Any) -> Resource:
    return {"resourceType": "Patient", "id": "p", "identifier": [{"value": "P1"}], **elements}


def test_on_other_peoples_patients_only_what_is_missing_is_filled() -> None:
    ehr = _foreign(name=[{"use": "official", "family": "Roe"}], gender="male")
    scene = Scene(ehr)
    scene.send(event(**DOE))
    assert scene.patient["name"] == ehr["name"]
    assert scene.patient["gender"] == "male"
    assert scene.patient["birthDate"] == "1970-02-03"
    assert "tag" not in scene.patient["meta"]


def test_dicom_wins_where_it_is_told_to() -> None:
    scene = Scene(_foreign(gender="male"), options=MappingOptions.model_validate({"patient": {"update": "dicom-wins"}}))
    scene.send(event(**DOE))
    assert scene.patient["gender"] == "female"


@pytest.mark.parametrize(("update", "gender"), [("fill-missing", "female"), ("create-only", None)])
def test_milder_policies_hold_for_our_own_patients_too(update: str, gender: str | None) -> None:
    options = MappingOptions.model_validate({"patient": {"update": update}})
    scene = Scene(options=options)
    scene.send(event(1, PatientName="Doe^Jane"))
    scene.send(event(2, instance="1.2.3.1.2", PatientName="Poe^Jane", PatientSex="F"))
    assert scene.patient["name"][0]["family"] == "Doe"
    assert scene.patient.get("gender") == gender


def test_nothing_is_emptied_and_nothing_made_vaguer() -> None:
    scene = Scene()
    scene.send(event(1, **DOE))
    before = scene.content()
    scene.send(event(2, PatientName="", PatientSex=None, PatientBirthDate="1970"))
    scene.send(event(3, PatientName="^^", PatientSex="U", PatientBirthDate="197002"))
    assert scene.content() == before


def test_a_vague_value_is_made_exact_even_by_an_older_event() -> None:
    scene = Scene()
    scene.send(event(9, PatientBirthDate="1970", PatientSex="U"))
    scene.send(event(2, instance="1.2.3.1.2", PatientBirthDate="19700203", PatientSex="F"))
    assert scene.patient["birthDate"] == "1970-02-03"
    assert scene.patient["gender"] == "female"


def test_two_people_with_one_number() -> None:
    ehr = _foreign(name=[{"family": "Roe"}], birthDate="1999-09-09")
    scene = Scene(ehr)
    scene.send(event(**DOE))
    assert scene.patient == ehr
    assert scene.report == ["patient_mismatch"]
    assert scene.study is not None
    scene = Scene(ehr, options=MappingOptions.model_validate({"patient": {"mismatch": "reject"}}))
    with pytest.raises(RejectedError) as caught:
        scene.send(event(**DOE))
    assert caught.value.code == "map.patient_mismatch"


@pytest.mark.parametrize(
    "existing",
    [
        {"name": [{"family": "Roe"}], "birthDate": "1970-02-03"},
        {"name": [{"family": "Roe"}], "birthDate": "1970"},
        {"name": [{"family": "DOE"}], "birthDate": "1999-09-09"},
        {"name": [{"family": "Roe"}, {"use": "maiden", "family": "Doé"}], "birthDate": "1999-09-09"},
        {"name": [{"text": "Roe"}], "birthDate": "1999-09-09"},
        {"birthDate": "1999-09-09"},
    ],
)
def test_one_difference_is_no_mismatch(existing: dict[str, Any]) -> None:
    scene = Scene(_foreign(**existing))
    scene.send(event(**DOE))
    assert scene.report == []
    assert scene.patient["gender"] == "female"


def test_a_feed_may_correct_its_own_patient_altogether_another_feed_may_not() -> None:
    scene = Scene()
    scene.send(event(1, **DOE))
    roe = {"PatientName": "Roe^Ann", "PatientBirthDate": "19990909"}
    scene.send(event(2, feed="other", instance="1.2.3.1.2", **roe))
    assert scene.report == ["patient_mismatch"]
    assert scene.patient["name"][0]["family"] == "Doe"
    scene.send(event(3, instance="1.2.3.1.3", **roe))
    assert scene.patient["name"][0]["family"] == "Roe"
    assert scene.patient["birthDate"] == "1999-09-09"


def test_elements_of_others_stay() -> None:
    scene = Scene()
    scene.send(event(1, **DOE))
    others = {"telecom": [{"value": "1"}], "active": True, "extension": [{"url": "urn:x", "valueString": "y"}]}
    scene.patient.update(others)
    scene.patient["identifier"].append({"system": "urn:ssn", "value": "9"})
    scene.send(event(2, PatientSex="M"))
    assert {name: scene.patient[name] for name in others} == others
    assert scene.patient["identifier"] == [{"value": "P1"}, {"system": "urn:ssn", "value": "9"}]
    assert scene.patient["gender"] == "male"
