"""`dicomcast-consumer verify` as a user runs it, between servers that answer what the test says."""

import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import Result
from dicomcast_consumer import verify_command
from dicomcast_consumer.__main__ import app
from dicomcast_runtime.errors import ConfigurationError, DependencyError, InputError
from dicomcast_runtime.peer_settings import PeerSettings
from typer.testing import CliRunner

STUDY = "1.2.3"
DICOM = "http://dicom.example/v2"
FHIR = "http://fhir.example/fhir"

Answer = Callable[[httpx.Request], httpx.Response]


def instances(request: httpx.Request) -> httpx.Response:
    """A DICOM server that has one instance of the study."""
    if request.url.path.endswith(f"/studies/{STUDY}/instances") and request.url.params["offset"] == "0":
        found = {"0020000E": {"vr": "UI", "Value": ["1.2.3.1"]}, "00080018": {"vr": "UI", "Value": ["1.2.3.1.1"]}}
        return httpx.Response(200, json=[found])
    return httpx.Response(204)


def nothing(_: httpx.Request) -> httpx.Response:
    """A FHIR server without resources."""
    return httpx.Response(200, json={"resourceType": "Bundle", "type": "searchset"})


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    def verify(*args: str, dicom: Answer = instances, fhir: Answer = nothing) -> Result:
        def client(peer: PeerSettings) -> httpx.AsyncClient:
            transport = httpx.MockTransport(dicom if peer.url == DICOM else fhir)
            return httpx.AsyncClient(base_url=peer.url + "/", transport=transport)

        monkeypatch.setattr(verify_command, "peer_client", client)
        monkeypatch.setenv("DICOMCAST_SOURCES__MAIN__DICOMWEB_URL", DICOM)
        monkeypatch.setenv("DICOMCAST_FHIR__URL", FHIR)
        return CliRunner().invoke(app, ["verify", "--again-after-s", "0", "--wait-s", "0", *args])

    return verify


@pytest.mark.parametrize("text", ["abc", "", "1", "1..2", "../1.2", "1.2,1.3", "1." + "2" * 63])
def test_a_study_that_is_no_uid_is_refused_before_anything_is_asked(verify: Callable[..., Result], text: str) -> None:
    error = verify("--study", STUDY, "--study", text, dicom=pytest.fail).exception
    assert isinstance(error, ConfigurationError)
    assert f"--study {text!r}" in str(error)


@pytest.mark.parametrize("text", ["2026-13-01", "2026-02-30", "20260101", "yesterday", ""])
def test_a_date_that_is_none_is_refused(verify: Callable[..., Result], text: str) -> None:
    error = verify("--since", text, dicom=pytest.fail).exception
    assert isinstance(error, ConfigurationError)
    assert f"--since {text!r}" in str(error)


def test_a_named_study_that_neither_server_has_is_no_study_that_is_the_same(
    verify: Callable[..., Result], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    found = verify("--study", STUDY, "--study", "9.9", "--report", str(report))
    assert isinstance(found.exception, InputError)
    assert "9.9: check the UID" in str(found.exception)
    assert STUDY in found.output, "what differs is told all the same"
    assert json.loads(report.read_text())["studiesNowhere"] == ["9.9"]


def test_a_server_without_studies_since_a_day_is_no_mistake(verify: Callable[..., Result]) -> None:
    found = verify("--since", "2026-05-31")
    assert (found.exit_code, found.output) == (0, "0 studies compared, 0 differ\n")


def test_one_study_is_one(verify: Callable[..., Result]) -> None:
    found = verify("--study", STUDY)
    assert (found.exit_code, found.output.splitlines()[-1]) == (1, "1 study compared, 1 differ")


@pytest.mark.parametrize(("name", "fault"), [("missing/report", "No such file"), ("", "Is a directory")])
def test_a_report_that_cannot_be_written_is_told_before_anything_is_asked(
    verify: Callable[..., Result], tmp_path: Path, name: str, fault: str
) -> None:
    error = verify("--study", STUDY, "--report", str(tmp_path / name), dicom=pytest.fail).exception
    assert isinstance(error, ConfigurationError)
    assert str(error).startswith(f"--report {tmp_path / name}: {fault}")


def test_what_was_found_is_printed_before_a_report_fails(verify: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "reports"
    folder.mkdir()

    def gone(request: httpx.Request) -> httpx.Response:
        folder.rmdir() if folder.exists() else None
        return nothing(request)

    found = verify("--study", STUDY, "--report", str(folder / "report.json"), fhir=gone)
    assert isinstance(found.exception, ConfigurationError)
    assert "1 study compared" in found.output


@pytest.mark.parametrize(
    ("status", "setting"), [(401, "__AUTH__*"), (403, "__AUTH__*"), (302, "__DICOMWEB_URL"), (404, "__DICOMWEB_URL")]
)
@pytest.mark.parametrize("chosen", [["--all"], ["--study", STUDY]])
def test_a_refusal_of_the_dicom_server_names_the_setting(
    verify: Callable[..., Result], chosen: list[str], status: int, setting: str
) -> None:
    error = verify(*chosen, "--wait-s", "60", dicom=lambda _: httpx.Response(status)).exception
    assert isinstance(error, ConfigurationError)
    assert f"DICOMCAST_SOURCES__MAIN{setting}" in str(error)


@pytest.mark.parametrize("chosen", [["--all"], ["--study", STUDY]])
def test_a_server_that_is_away_is_named_with_its_setting(verify: Callable[..., Result], chosen: list[str]) -> None:
    def away(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    errors = [verify(*chosen, dicom=away).exception, verify(*chosen, fhir=away).exception]
    assert all(isinstance(error, DependencyError) for error in errors)
    assert f"QIDO-RS at {DICOM}: ConnectError: check DICOMCAST_SOURCES__MAIN__DICOMWEB_URL" in str(errors[0])
    assert f"FHIR at {FHIR}: ConnectError: check DICOMCAST_FHIR__URL" in str(errors[1])


def test_the_list_of_studies_is_waited_for(verify: Callable[..., Result]) -> None:
    answers = [httpx.Response(503, headers={"Retry-After": "0"}), httpx.Response(204)]
    found = verify("--all", "--wait-s", "60", dicom=lambda _: answers.pop(0))
    assert (found.exit_code, answers) == (0, [])
