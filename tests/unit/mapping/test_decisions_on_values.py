"""The finer clauses of the decisions that test_decisions.py has the gist of, one test a clause: values."""

import os
import time
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import (
    MappingOptions,
    SourceProfile,
    patient_identifiers,
)
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import (
    DCM,
    SCT,
    URL,
    Scene,
    change,
    code,
    event,
    omissions,
    stored,
    their_patient,
    their_study,
)

OTHER = "1.2.3.1.2"
NOON = {"StudyTime": "1200", "SeriesTime": "1200"}
BERLIN = SourceProfile(feed="pacs", dicomweb_url=URL, timezone="Europe/Berlin")
ACSN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}


def test_decision_2_daylight_saving_is_that_of_the_studys_own_date() -> None:
    scene = stored(None, BERLIN, StudyDate="20210701", SeriesDate="20210101", **NOON)
    assert scene.imaging_study["started"] == "2021-07-01T12:00:00+02:00"
    assert scene.series()["started"] == "2021-01-01T12:00:00+01:00"


def test_decision_2_the_data_sets_own_offset_comes_first() -> None:
    scene = stored(None, BERLIN, StudyDate="20210701", TimezoneOffsetFromUTC="-0330", **NOON)
    assert scene.imaging_study["started"] == "2021-07-01T12:00:00-03:30"


def test_decision_3_without_a_system_identifiers_without_one_are_searched() -> None:
    assert [identifier.token for identifier in patient_identifiers([change()])] == ["|P1"]


def test_decision_3_the_system_can_be_the_issuers() -> None:
    options = {"patient": {"system": "urn:x:mrn", "use_issuer": True}}
    universal = {"UniversalEntityID": "1.2.9", "UniversalEntityIDType": "ISO"}
    scene = stored(options, IssuerOfPatientIDQualifiersSequence=universal)
    assert scene.patient["identifier"] == [{"system": "urn:oid:1.2.9", "value": "P1"}]
    assert stored(options).patient["identifier"] == [{"system": "urn:x:mrn", "value": "P1"}]


def test_decision_8_what_a_server_sent_is_not_put_through_the_model() -> None:
    """It would drop, rewrite or refuse what others may have."""
    theirs = {
        "started": "2020-01-01T00:00:00.1200Z",
        "note": [{"text": "x"}],
        "_description": {"id": "d"},
        "foo": "bar",
    }
    scene = Scene(their_patient(), their_study(**theirs))
    scene.send(event(1, instance=OTHER))
    assert {name: scene.imaging_study[name] for name in theirs} == theirs
    assert scene.imaging_study["numberOfInstances"] == 2


def test_decision_9_deleting_an_instance_recomputes_counts_modality_and_series() -> None:
    scene = Scene()
    scene.send(event(1), event(2, series="1.2.3.2", instance="1.2.3.2.1", Modality="SR"))
    assert (scene.imaging_study["numberOfSeries"], len(scene.imaging_study["modality"])) == (2, 2)
    scene.send(event(3, action=Action.DELETE, state=State.DELETED, series="1.2.3.2", instance="1.2.3.2.1"))
    study = scene.imaging_study
    assert (study["numberOfSeries"], study["numberOfInstances"], len(study["series"])) == (1, 1, 1)
    assert study["modality"] == [{"system": DCM, "code": "CT"}]


def test_decision_10_a_modality_is_normalised_and_an_unknown_one_shown_as_it_is() -> None:
    assert stored(Modality="  ct\x00").series()["modality"] == {"system": DCM, "code": "CT"}
    assert stored(Modality=" Xy  z ").series()["modality"] == {"display": "Xy  z"}
    assert omissions(change(Modality="Xy")) == {("Modality", "code_unknown")}
    assert omissions(change(Modality=None)) == {("Modality", "missing")}


@pytest.mark.parametrize("modality", ["CT", "DOC", "OPTENF", "DS", "FS", "VF"])
def test_decision_10_known_are_current_and_retired_terms(modality: str) -> None:
    assert stored(Modality=modality).series()["modality"] == {"system": DCM, "code": modality}


@pytest.mark.parametrize(
    ("concept", "coding"),
    [
        (code("T-D3000", "SNM3"), "816094009"),
        (code("T-D4000", "99SDM"), "818981001"),
        (code("T-D4000", "SRT"), "818981001"),
        (code("T-D1100", "SRT"), "69536005"),
        (code("43799004", "SCT"), "43799004"),
    ],
)
def test_decision_16_annex_l_first_then_pydicoms_table(concept: dict[str, Any], coding: str) -> None:
    assert stored(AnatomicRegionSequence=concept).series()["bodySite"] == {"system": SCT, "code": coding}


def test_decision_16_an_unknown_snomed_rt_code_is_a_display() -> None:
    region = code("T-FFFFF", "SRT", "Somewhere")
    assert stored(AnatomicRegionSequence=region).series()["bodySite"] == {"display": "Somewhere"}
    assert stored(BodyPartExamined="Big  Toe").series()["bodySite"] == {"display": "Big  Toe"}


@pytest.mark.parametrize("instances", ["all", "none"])
@pytest.mark.parametrize("action", [Action.UPDATE, Action.CREATE])
@pytest.mark.parametrize("batched", [True, False])
def test_decision_16_the_side_of_an_only_image_is_replaced_when_it_is_corrected(
    instances: str, action: Action, batched: bool
) -> None:
    scene = Scene(options=MappingOptions.model_validate({"instances": instances}))
    told = event(1, ImageLaterality="L"), event(2, action=action, ImageLaterality="R")
    for run in [told] if batched else [[one] for one in told]:
        scene.send(*run)
    assert scene.series()["laterality"]["code"] == "24028007"
    told = event(3, instance=OTHER, ImageLaterality="L"), event(4, action=action, ImageLaterality="R")
    for run in [told] if batched else [[one] for one in told]:
        scene.send(*run)
    assert scene.series()["laterality"]["code"] == "51440002"
    scene.send(event(5, instance=OTHER, action=Action.DELETE, state=State.DELETED))
    scene.send(event(6, action=action, ImageLaterality="R"))
    assert scene.series()["laterality"]["code"] == "24028007"


def test_decision_16_the_only_images_side_is_added_to_by_another_image_that_says_the_same() -> None:
    scene = stored(ImageLaterality="R")
    scene.send(event(2, action=Action.UPDATE, ImageLaterality="L"), event(3, instance=OTHER, ImageLaterality="L"))
    assert scene.series()["laterality"]["code"] == "7771000"


def test_decision_16_laterality_of_the_series_decides() -> None:
    assert stored(Laterality="L", ImageLaterality="R").series()["laterality"]["code"] == "7771000"
    assert stored(ImageLaterality="R").series()["laterality"]["code"] == "24028007"
    assert "laterality" not in stored(Laterality="U").series()


def test_decision_16_cpt_is_c4() -> None:
    (concept,) = stored(ProcedureCodeSequence=code("71250", "C4", "CT thorax")).imaging_study["procedureCode"]
    assert concept["coding"][0]["system"] == "http://www.ama-assn.org/go/cpt"


def test_decision_17_without_a_meaning_the_code_is_the_text() -> None:
    assert stored(ProcedureCodeSequence=code("X1", "99HOSP")).imaging_study["procedureCode"] == [{"text": "X1"}]


def test_decision_17_a_coding_without_a_system_keeps_its_display() -> None:
    assert stored(AnatomicRegionSequence=code("X1", "99HOSP", "Toe")).series()["bodySite"] == {"display": "Toe"}
    options = {"codingscheme": {"99HOSP": "https://hosp.example"}}
    expected = {"system": "https://hosp.example", "code": "X1", "display": "Toe"}
    assert stored(options, AnatomicRegionSequence=code("X1", "99HOSP", "Toe")).series()["bodySite"] == expected


def test_decision_17_the_order_of_a_name_in_a_display() -> None:
    study = stored(ReferringPhysicianName="Family^Given^Middle^Prof. Dr.^MD").imaging_study
    assert study["referrer"]["display"] == "Prof. Dr. Given Middle Family MD"


def test_decision_18_the_zone_of_this_machine_is_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert time.timezone == -12 * 3600
        assert stored(StudyDate="20210701", **NOON).imaging_study["started"] == "2021-07-01"
        assert stored(None, BERLIN, StudyDate="20210701", **NOON).imaging_study["started"].endswith("T12:00:00+02:00")
    finally:
        monkeypatch.delenv("TZ") if before is None else monkeypatch.setenv("TZ", before)
        time.tzset()


def test_decision_18_an_hour_that_is_skipped_gives_the_date_alone() -> None:
    scene = stored(None, BERLIN, StudyDate="20210328", StudyTime="0230")
    assert scene.imaging_study["started"] == "2021-03-28"


def test_decision_18_no_date_no_time() -> None:
    assert "started" not in stored(StudyTime="1200").imaging_study
    assert "started" not in stored(StudyDate="Monday", StudyTime="1200").imaging_study


def test_decision_20_a_dns_name_is_no_system() -> None:
    issuer = {"UniversalEntityID": "hospital.example", "UniversalEntityIDType": "DNS"}
    with pytest.raises(RejectedError, match="the issuer of the PatientID"):
        stored({"patient": {"use_issuer": True}}, IssuerOfPatientIDQualifiersSequence=issuer)
    study = stored(AccessionNumber="A", IssuerOfAccessionNumberSequence=issuer).imaging_study
    assert study["identifier"][1:] == [{"type": ACSN, "value": "A"}]
