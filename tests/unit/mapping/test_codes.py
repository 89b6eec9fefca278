"""Code sequences, modalities, body sites and sides (rule N9)."""

from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions
from dicomcast_consumer.mapping.codes import modality_coding
from dicomcast_consumer.mapping.fragments import Coding, Concept

from tests.unit.mapping.scene import DCM, SCT, Scene, change, code, event, omissions


def _procedure(item: dict[str, Any], options: MappingOptions | None = None) -> Concept | None:
    found = change(options=options or MappingOptions(), ProcedureCodeSequence=item)
    assert found.study is not None
    return next(iter(found.study.procedure_codes), None)


@pytest.mark.parametrize(
    ("scheme", "value", "system", "expected"),
    [
        ("LN", "24627-2", "http://loinc.org", "24627-2"),
        ("SCT", "169069000", SCT, "169069000"),
        ("SRT", "T-D3000", SCT, "816094009"),
        ("SNM3", "T-D4000", SCT, "818981001"),
        ("99SDM", "T-A0100", SCT, "12738006"),
        ("DCM", "113701", DCM, "113701"),
        ("C4", "71250", "http://www.ama-assn.org/go/cpt", "71250"),
        ("RPID", "RPID16", "http://radlex.org", "RPID16"),
        ("I10", "C34.1", "http://hl7.org/fhir/sid/icd-10", "C34.1"),
        ("LN", " 24627-2 ", "http://loinc.org", "24627-2"),
    ],
)
def test_schemes(scheme: str, value: str, system: str, expected: str) -> None:
    found = _procedure(code(value, scheme, "Meaning"))
    assert found == Concept(coding=Coding(system=system, code=expected, display="Meaning"), text="Meaning")


@pytest.mark.parametrize("scheme", ["99LOCAL", "L", "SRT"])
def test_a_code_whose_system_is_unknown_is_text(scheme: str) -> None:
    found = change(ProcedureCodeSequence=code("CTTHX", scheme, "CT thorax"))
    assert found.study is not None
    assert found.study.procedure_codes == (Concept(text="CT thorax"),)
    assert omissions(found) == {("ProcedureCodeSequence", "code_system_unknown")}


def test_without_a_meaning_the_code_is_the_text() -> None:
    assert _procedure(code("CTTHX", "99LOCAL")) == Concept(text="CTTHX")


def test_the_uid_of_the_scheme_comes_before_the_local_table() -> None:
    local = MappingOptions(codingscheme={"99LOCAL": "https://hospital.example/codes"})
    item = code("CTTHX", "99LOCAL", "CT thorax")
    found = _procedure(item, local)
    assert found is not None
    assert found.coding == Coding(system="https://hospital.example/codes", code="CTTHX", display="CT thorax")
    found = _procedure({**item, "CodingSchemeUID": "1.2.3.4"}, local)
    assert found is not None
    assert found.coding == Coding(system="urn:oid:1.2.3.4", code="CTTHX", display="CT thorax")


def test_long_codes_urns_and_versions() -> None:
    found = _procedure(
        {"LongCodeValue": "A-LONG-CODE-VALUE", "CodingSchemeDesignator": "LN", "CodingSchemeVersion": "2.1"}
    )
    assert found == Concept(coding=Coding(system="http://loinc.org", version="2.1", code="A-LONG-CODE-VALUE"))
    found = _procedure({"URNCodeValue": "urn:oid:1.2.3", "CodeMeaning": "X"})
    assert found is not None
    assert found.coding == Coding(system="urn:ietf:rfc:3986", code="urn:oid:1.2.3", display="X")


def test_an_empty_item_is_nothing() -> None:
    assert _procedure({}) is None
    assert _procedure({"CodingSchemeDesignator": "LN"}) is None


def test_the_requested_procedures_description_stands_in_for_its_code() -> None:
    found = change(RequestedProcedureDescription="CT of the chest")
    assert found.study is not None
    assert found.study.procedure_codes == (Concept(text="CT of the chest"),)


def test_reasons_in_codes_and_words_each_once() -> None:
    cough = code("49727002", "SCT", "Cough")
    found = change(
        ReasonForTheRequestedProcedure="Cough",
        RequestAttributesSequence=[
            {"ReasonForRequestedProcedureCodeSequence": cough, "ReasonForTheRequestedProcedure": "Fever"},
            {"ReasonForRequestedProcedureCodeSequence": cough},
        ],
        ReasonForPerformedProcedureCodeSequence=cough,
    )
    assert found.study is not None
    assert found.study.reason_codes == (
        Concept(coding=Coding(system=SCT, code="49727002", display="Cough"), text="Cough"),
        Concept(text="Fever"),
    )


HEAD = code("69536005", "SCT", "Head")


@pytest.mark.parametrize("value", ["CT", "MR", "SR", "KO", "RTPLAN", "DOC", "CF", "VF", "ANN"])
def test_known_modalities(value: str) -> None:
    assert modality_coding(value) == Coding(system=DCM, code=value)


def test_other_modalities_are_displays() -> None:
    assert modality_coding("XX") is None


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"BodyPartExamined": " chest "}, (SCT, "816094009", "Chest")),
        ({"BodyPartExamined": "ABDOMEN"}, (SCT, "818981001", "Abdomen")),
        ({"BodyPartExamined": "LEFT TOE"}, (None, None, "LEFT TOE")),
        (
            {"AnatomicRegionSequence": code("69536005", "SCT", "Head"), "BodyPartExamined": "NECK"},
            (SCT, "69536005", "Head"),
        ),
        ({"AnatomicRegionSequence": code("T-D1100", "SRT", "Head")}, (SCT, "69536005", "Head")),
        ({"AnatomicRegionSequence": code("H1", "99X", "Head"), "BodyPartExamined": "NECK"}, (SCT, "45048000", "Neck")),
        ({"AnatomicRegionSequence": code("H1", "99X", "Head"), "BodyPartExamined": "NOSE TIP"}, (None, None, "Head")),
    ],
)
def test_body_sites(attributes: dict[str, Any], expected: tuple[str | None, str | None, str]) -> None:
    found = change(**attributes)
    assert found.series is not None
    site = found.series.body_site
    assert site is not None
    assert (site.system, site.code, site.display) == expected


def _laterality(*per_instance: dict[str, Any]) -> str | None:
    scene = Scene()
    for number, attributes in enumerate(per_instance, 1):
        scene.send(event(number, instance=f"1.2.3.1.{number}", **attributes))
    coding = scene.series().get("laterality")
    return {"24028007": "R", "7771000": "L", "51440002": "B"}[coding["code"]] if coding else None


def test_sides() -> None:
    assert _laterality({"Laterality": "R"}) == "R"
    assert _laterality({"ImageLaterality": "L"}) == "L"
    assert _laterality({"ImageLaterality": "L"}, {"ImageLaterality": "R"}) == "B"
    assert _laterality({"ImageLaterality": "L"}, {"ImageLaterality": "L"}) == "L"
    assert _laterality({"ImageLaterality": "L"}, {"ImageLaterality": "R"}, {"ImageLaterality": "L"}) == "B"
    assert _laterality({"ImageLaterality": "R"}, {"Laterality": "L"}) == "L"
    assert _laterality({"Laterality": "L"}, {"ImageLaterality": "R"}) == "L"
    assert _laterality({"Laterality": "L"}, {"Laterality": "R"}) == "R"
    assert _laterality({"Laterality": "U"}) is None
    assert _laterality({"Laterality": ""}, {}) is None
