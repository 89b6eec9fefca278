"""`dicomcast-consumer map` as a user runs it: settings from the environment alone, no network."""

import json
from pathlib import Path
from typing import Any

import pytest
from dicomcast_consumer.__main__ import app
from pydicom.data import get_testdata_file
from typer.testing import CliRunner

from tests.fakes.events import metadata

URL = "https://pacs.example/dicomweb"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DICOMCAST_CONFIG", "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS", "DICOMCAST_FHIR__URL"):
        monkeypatch.delenv(name, raising=False)


def run(*args: str, stdin: str | None = None) -> tuple[int, dict[str, Any], list[dict[str, Any]]]:
    """Exit code, Bundle, and the lines of standard error, each of which must be JSON."""
    result = CliRunner().invoke(app, ["map", *args], input=stdin, catch_exceptions=False)
    return result.exit_code, json.loads(result.stdout), [json.loads(line) for line in result.stderr.splitlines()]


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle.get("entry", []) if e["resource"]["resourceType"] == kind]


def stored(study: str, instance: str, **attributes: Any) -> str:
    return json.dumps(json.loads(metadata(study, "1.9", instance, **attributes)))


def test_a_dicom_file() -> None:
    code, bundle, _ = run(str(get_testdata_file("CT_small.dcm")), "--source-url", URL)
    assert code == 0
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    (study,) = resources(bundle, "ImagingStudy")
    (patient,) = resources(bundle, "Patient")
    (endpoint,) = resources(bundle, "Endpoint")
    assert study["identifier"][0]["value"] == "urn:oid:1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
    assert patient["identifier"][0]["value"] == "1CT1"
    assert endpoint["address"] == URL
    assert all(entry["request"]["method"] == "POST" and entry["request"]["ifNoneExist"] for entry in bundle["entry"])


def test_one_bundle_ordered_by_study_whatever_the_order_of_the_input() -> None:
    lines = [stored("1.3", "1.3.1"), stored("1.2", "1.2.1"), stored("1.3", "1.3.2")]
    code, bundle, _ = run("-", "--source-url", URL, stdin="\n".join(lines))
    assert code == 0
    found = resources(bundle, "ImagingStudy")
    assert [study["identifier"][0]["value"] for study in found] == ["urn:oid:1.2", "urn:oid:1.3"]
    assert [study["numberOfInstances"] for study in found] == [1, 2]
    assert len(resources(bundle, "Patient")) == len(resources(bundle, "Endpoint")) == 1


def test_the_same_input_gives_the_same_text(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(stored("1.3", "1.3.1"))
    (tmp_path / "b").write_text(stored("1.2", "1.2.1"))
    results = [CliRunner().invoke(app, ["map", str(tmp_path), "--source-url", URL]).stdout for _ in range(2)]
    assert results[0] == results[1]


def test_a_later_event_decides() -> None:
    event = {
        "feed": "main",
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.9",
        "sop_instance_uid": "1.2.1",
        "action": "CREATE",
        "metadata": json.loads(stored("1.2", "1.2.1")),
    }
    gone = {**event, "action": "DELETE", "state": "DELETED", "metadata": None}
    code, bundle, _ = run("-", "--source-url", URL, stdin=f"{json.dumps(event)}\n{json.dumps(gone)}\n")
    assert (code, len(resources(bundle, "ImagingStudy")), len(resources(bundle, "Patient"))) == (0, 0, 1)
    code, bundle, _ = run("-", "--source-url", URL, stdin=f"{json.dumps(gone)}\n{json.dumps(event)}\n")
    assert (code, len(resources(bundle, "ImagingStudy"))) == (0, 1)


def test_what_is_left_out_is_reported() -> None:
    code, _, lines = run("-", "--source-url", URL, stdin=stored("1.2", "1.2.1", sex="D"))
    assert code == 0
    (line,) = lines
    assert set(line) == {"sop_instance_uid", "attribute", "reason"}
    assert (line["sop_instance_uid"], line["attribute"]) == ("1.2.1", "PatientSex")


def test_rejected_input_is_reported_and_the_rest_is_written() -> None:
    lines = [stored("1.2", "1.2.1"), "{broken", stored("1.3", "1.3.1", patient_id=None)]
    code, bundle, reported = run("-", "--source-url", URL, stdin="\n".join(lines))
    assert code == 65
    assert len(resources(bundle, "ImagingStudy")) == 1
    rejected = [(line["input"], line["line"], line["code"]) for line in reported if "code" in line]
    assert rejected == [("-", 2, "input.not_json"), ("-", 3, "map.patient_id_missing")]
    assert "Doe" not in json.dumps(reported)


def test_what_the_plan_rejects_has_its_place_too() -> None:
    lines = [stored("1.2", "1.2.1"), stored("1.2", "1.2.2", patient_id="OTHER")]
    code, bundle, reported = run("-", "--source-url", URL, stdin="\n".join(lines))
    assert code == 65
    assert resources(bundle, "ImagingStudy")[0]["numberOfInstances"] == 1
    assert [(line["line"], line["code"]) for line in reported if "code" in line] == [(2, "map.patient_conflict")]


def test_mapping_settings_come_from_the_environment_and_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DICOMCAST_MAPPING__PATIENT__SYSTEM", "urn:oid:1.2.3.99")
    config = tmp_path / "settings.toml"
    config.write_text(f'[sources.main]\ndicomweb_url = "{URL}"\ntimezone = "Europe/Berlin"\n[kafka]\n"x.y" = 1\n')
    code, bundle, _ = run("-", "--config", str(config), stdin=stored("1.2", "1.2.1"))
    assert code == 0
    assert resources(bundle, "Patient")[0]["identifier"][0]["system"] == "urn:oid:1.2.3.99"
    assert resources(bundle, "Endpoint")[0]["address"] == URL


def test_without_a_url_the_address_says_so() -> None:
    code, bundle, lines = run("-", stdin=stored("1.2", "1.2.1"))
    assert code == 0
    assert resources(bundle, "Endpoint")[0]["address"] == "https://dicomweb.invalid"
    assert [line["warning"] for line in lines if "warning" in line] == ["no_source_url"]


def test_the_private_url_of_a_source_is_never_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__DICOMWEB_URL", "https://public.example/dicom-web")
    monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__PRIVATE_URL", "https://private.example/dicom-web")
    _, bundle, _ = run("-", stdin=stored("1.2", "1.2.1"))
    assert "public.example" in json.dumps(bundle)
    assert "private.example" not in json.dumps(bundle)
