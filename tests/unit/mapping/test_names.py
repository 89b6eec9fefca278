"""PN → HumanName (PS3.5 6.2.1)."""

import pytest
from dicomcast_consumer.mapping.elements import DataSet
from dicomcast_consumer.mapping.fragments import NameGroup, PersonName
from dicomcast_consumer.mapping.names import read_name

from tests.unit.mapping.scene import Scene, change, event, omissions

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"


def _read(value: object) -> PersonName | None:
    return read_name(DataSet({"00100010": {"vr": "PN", "Value": [value]}}, "1", []), "00100010", "PatientName")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Adams^John Robert Quincy^^Rev.^B.A. M.Div.", ("Adams", "John Robert Quincy", "Rev.", "B.A.|M.Div.")),
        (
            "Morrison-Jones^Susan^^^Ph.D., Chief Executive Officer",
            ("Morrison-Jones", "Susan", "", "Ph.D.|Chief Executive Officer"),
        ),
        ("van der Berg^Anna", ("van der Berg", "Anna", "", "")),
        ("Doe^Jane^Mary Ann^Dr. Prof.", ("Doe", "Jane Mary Ann", "Dr.|Prof.", "")),
        ("  Doe ^ Jane ^", ("Doe", "Jane", "", "")),
        ("^Madonna", (None, "Madonna", "", "")),
        ("Doe", ("Doe", "", "", "")),
        ("Doe,Jane", ("Doe,Jane", "", "", "")),
        ("Doe\x00\x1b^Jane\x00", ("Doe", "Jane", "", "")),
    ],
)
def test_components(text: str, expected: tuple[str | None, str, str, str]) -> None:
    family, given, prefix, suffix = expected
    name = _read({"Alphabetic": text})
    assert name is not None
    assert (
        NameGroup(
            family=family,
            given=tuple(given.split()),
            prefix=tuple(p for p in prefix.split("|") if p),
            suffix=tuple(s for s in suffix.split("|") if s),
        )
        == name.ABC
    )


@pytest.mark.parametrize(
    "value", ["", "^^^^", "^^^,", "^^^^ , ,", "  ", {"Alphabetic": "^^^^"}, {"Alphabetic": None}, {}, None, "=="]
)
def test_a_name_without_components_is_no_name(value: object) -> None:
    assert _read(value) is None


def test_a_name_of_commas_empties_nothing() -> None:
    scene = Scene()
    scene.send_each(event(1, PatientName="Doe^Jane"), event(2, instance="1.2.3.1.2", PatientName="^^^,"))
    assert scene.patient["name"] == [{"use": "usual", "family": "Doe", "given": ["Jane"]}]


def test_a_plain_string_holds_the_groups_with_equals_signs() -> None:
    name = _read("Yamada^Tarou=山田^太郎=やまだ^たろう")
    assert name == _read({"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"})


def test_components_after_the_fifth_are_reported() -> None:
    assert omissions(change(PatientName="Doe^Jane^^^^more")) == {("PatientName", "name_components_extra")}


@pytest.mark.parametrize("value", [17.5, [1], True])
def test_what_is_no_name_is_reported(value: object) -> None:
    found = change(metadata={**_minimal(), "00100010": {"vr": "PN", "Value": [value]}})
    assert found.patient is not None
    assert found.patient.name is None
    assert omissions(found) == {("PatientName", "not_text")}


def _minimal() -> dict[str, object]:
    return {
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.2"]},
        "00080060": {"vr": "CS", "Value": ["CT"]},
        "00100020": {"vr": "LO", "Value": ["P1"]},
    }


def test_ideographic_and_phonetic_groups_are_names_without_use() -> None:
    scene = Scene()
    scene.send(event(PatientName="Yamada^Tarou=山田^太郎=やまだ^たろう"))
    assert scene.patient["name"] == [
        {"extension": [_is("ABC")], "use": "usual", "family": "Yamada", "given": ["Tarou"]},
        {"extension": [_is("IDE")], "family": "山田", "given": ["太郎"]},
        {"extension": [_is("SYL")], "family": "やまだ", "given": ["たろう"]},
    ]


def test_without_an_alphabetic_group_the_first_other_one_is_the_usual_name() -> None:
    scene = Scene()
    scene.send(event(1, PatientName="=山田^太郎"))
    assert scene.patient["name"] == [
        {"extension": [_is("IDE")], "use": "usual", "family": "山田", "given": ["太郎"]},
    ]
    scene.send(event(2, instance="1.2.3.1.2", PatientName="Yamada^Tarou"))
    assert scene.patient["name"] == [
        {"extension": [_is("ABC")], "use": "usual", "family": "Yamada", "given": ["Tarou"]},
        {"extension": [_is("IDE")], "family": "山田", "given": ["太郎"]},
    ]


def test_names_with_another_use_stay_and_the_usual_one_keeps_its_place_and_its_period() -> None:
    scene = Scene()
    scene.send(event(1, PatientName="Doe^Jane"))
    old, maiden = scene.patient["name"][0], {"use": "maiden", "family": "Roe"}
    scene.patient["name"] = [
        maiden,
        {**old, "text": "Jane Doe", "period": {"start": "2020"}},
        {"use": "nickname", "text": "J"},
    ]
    scene.send(event(2, instance="1.2.3.1.2", PatientName="Poe^Jane"))
    assert scene.patient["name"] == [
        maiden,
        {"use": "usual", "family": "Poe", "given": ["Jane"], "period": {"start": "2020"}},
        {"use": "nickname", "text": "J"},
    ]


def _is(representation: str) -> dict[str, str]:
    return {"url": REPRESENTATION, "valueCode": representation}
