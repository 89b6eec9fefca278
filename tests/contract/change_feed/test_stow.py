"""STOW-RS, DELETE, WADO-RS metadata and QIDO-RS of the sandbox's server (PS3.18; the Microsoft server's reasons)."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom.data import get_testdata_file

from tests.contract.change_feed.files import dicom_file, new_uid
from tests.contract.change_feed.peers import SandboxPeer, stow

VALIDATION_FAILED, OTHER_STUDY, ALREADY_STORED = 43264, 43265, 45070
# Files that break their VRs, nest private sequences, are cut off, or are of another transfer syntax.
ODD_FILES = [
    "badVR.dcm", "MR_truncated.dcm", "ExplVR_BigEnd.dcm", "image_dfl.dcm", "rtplan_truncated.dcm", "JPEG2000.dcm",
    "reportsi_with_empty_number_tags.dcm", "rtdose.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_padded.dcm",
]  # fmt: skip


def reasons(response: dict[str, Any]) -> list[int]:
    return [item["00081197"]["Value"][0] for item in response.get("00081198", {}).get("Value", [])]


def stored(response: dict[str, Any]) -> list[str]:
    return [item["00081155"]["Value"][0] for item in response.get("00081199", {}).get("Value", [])]


class TestStow:
    def test_all_stored(self, sandbox: SandboxPeer) -> None:
        files = [dicom_file(), dicom_file("MR_small.dcm")]
        answer = stow(sandbox.http, *(file.content for file in files))
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/dicom+json")
        assert stored(answer.json()) == [file.sop for file in files]
        url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        assert sandbox.http.get(f"{url}/metadata").json()[0]["00080018"]["Value"] == [files[0].sop]

    def test_some_stored(self, sandbox: SandboxPeer) -> None:
        file = dicom_file()
        sandbox.store(file)
        other = dicom_file()
        answer = stow(sandbox.http, file.content, b"not DICOM", other.content)
        assert answer.status_code == 202
        assert reasons(answer.json()) == [ALREADY_STORED, VALIDATION_FAILED]
        assert stored(answer.json()) == [other.sop]

    def test_stored_again_is_a_conflict_and_no_event(self, sandbox: SandboxPeer) -> None:
        file = dicom_file()
        sandbox.store(file)
        answer = stow(sandbox.http, file.content)
        assert answer.status_code == 409
        assert reasons(answer.json()) == [ALREADY_STORED]
        assert sandbox.position() == 1

    def test_instance_of_another_study(self, sandbox: SandboxPeer) -> None:
        answer = stow(sandbox.http, dicom_file().content, study=new_uid())
        assert (answer.status_code, reasons(answer.json())) == (409, [OTHER_STUDY])

    def test_instance_of_the_named_study(self, sandbox: SandboxPeer) -> None:
        file = dicom_file()
        answer = stow(sandbox.http, file.content, study=file.study)
        assert answer.status_code == 200
        assert answer.json()["00081190"]["Value"][0].endswith(f"/v2/studies/{file.study}")

    def test_missing_uid(self, sandbox: SandboxPeer) -> None:
        answer = stow(sandbox.http, dicom_file(SeriesInstanceUID=None).content)
        assert (answer.status_code, reasons(answer.json())) == (409, [VALIDATION_FAILED])

    def test_no_part_at_all(self, sandbox: SandboxPeer) -> None:
        assert stow(sandbox.http).status_code == 204

    @pytest.mark.parametrize(
        ("content_type", "body", "status"),
        [
            ("application/json", b"{}", 415),
            ("multipart/related", b"", 415),
            ("multipart/related; boundary=x", b"nothing of the kind", 400),
            ("multipart/related; boundary=x", b"--x\r\nno empty line--x--", 400),
            ("multipart/related; boundary=x", b"--x\r\nno empty line\r\n--x--", 400),
        ],
    )
    def test_what_is_not_multipart(self, sandbox: SandboxPeer, content_type: str, body: bytes, status: int) -> None:
        answer = sandbox.http.post("/v2/studies", content=body, headers={"Content-Type": content_type})
        assert answer.status_code == status

    def test_boundary_in_a_file_is_no_end(self, sandbox: SandboxPeer) -> None:
        file = dicom_file(ImageComments="--next\r\n --next-- \r\n--nextone")
        answer = stow(sandbox.http, file.content)
        assert answer.status_code == 200
        assert stored(answer.json()) == [file.sop]

    @pytest.mark.parametrize("name", ODD_FILES)
    def test_odd_files(self, sandbox: SandboxPeer, name: str) -> None:
        path = get_testdata_file(name, download=False)
        assert isinstance(path, str)
        with open(path, "rb") as file:
            assert stow(sandbox.http, file.read()).status_code == 200
        assert sandbox.page(1)[0]["metadata"]["00080018"]["vr"] == "UI"

    def test_infinities_become_texts(self, sandbox: SandboxPeer) -> None:
        sandbox.store(dicom_file(TubeAngle=float("-inf")))
        assert sandbox.page(1)[0]["metadata"]["00189303"] == {"vr": "FD", "Value": ["-Infinity"]}


class TestDelete:
    def test_levels(self, sandbox: SandboxPeer) -> None:
        study, series = new_uid(), new_uid()
        files = [dicom_file(study=study, series=series) for _ in range(2)] + [dicom_file(study=study) for _ in range(2)]
        for file in files:
            sandbox.store(file)
        counts = []
        for level in (files[0].uids, (study, series), (study,)):
            sandbox.delete(*level)
            counts.append(sandbox.server.store.counts()["Delete events"])
        assert counts == [1, 2, 4]

    def test_what_is_not_there(self, sandbox: SandboxPeer) -> None:
        file = dicom_file()
        sandbox.store(file)
        for path in (new_uid(), f"{file.study}/series/{new_uid()}", f"{file.study}/series/{file.series}/instances/1.2"):
            assert sandbox.http.delete(f"/v2/studies/{path}").status_code == 404
        assert sandbox.position() == 1


class TestMetadata:
    def test_levels(self, sandbox: SandboxPeer) -> None:
        study, series = new_uid(), new_uid()
        first = dicom_file(study=study, series=series)
        for file in (first, dicom_file(study=study, series=series), dicom_file(study=study)):
            sandbox.store(file)
        series_path = f"/v1/studies/{study}/series/{series}"
        paths = [f"/v1/studies/{study}", series_path, f"{series_path}/instances/{first.sop}"]
        assert [len(sandbox.http.get(f"{path}/metadata").json()) for path in paths] == [3, 2, 1]


class TestSearch:
    def test_studies(self, sandbox: SandboxPeer) -> None:
        assert sandbox.http.get("/v2/studies").status_code == 204
        files = [dicom_file(PatientID=f"p{number}") for number in range(3)]
        for file in files:
            sandbox.store(file)

        def found(**query: str) -> list[str]:
            answer = sandbox.http.get("/v2/studies", params=query)
            return [one["0020000D"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []

        assert found() == [file.study for file in files]
        assert found(limit="1", offset="1") == [files[1].study]
        assert found(StudyInstanceUID=files[2].study) == [files[2].study]
        assert found(**{"00100020": "p0"}) == [files[0].study]
        assert found(StudyInstanceUID=new_uid()) == []

    def test_studies_of_a_range_of_dates(self, sandbox: SandboxPeer) -> None:
        files = [dicom_file(StudyDate=date) for date in ("20250101", "20250615", "20251231")]
        for file in files:
            sandbox.store(file)

        def found(dates: str) -> list[str]:
            answer = sandbox.http.get("/v2/studies", params={"StudyDate": dates})
            return [one["0020000D"]["Value"][0] for one in answer.json()] if answer.status_code == 200 else []

        assert found("20250615-") == [file.study for file in files[1:]]
        assert found("-20250615") == [file.study for file in files[:2]]
        assert found("20250102-20250630") == [files[1].study]
        assert found("20250101") == [files[0].study]

    def test_instances_of_a_study(self, sandbox: SandboxPeer) -> None:
        study, series = new_uid(), new_uid()
        files = [dicom_file(study=study, series=series) for _ in range(3)]
        for file in [*files, dicom_file()]:
            sandbox.store(file)
        answer = sandbox.http.get(f"/v2/studies/{study}/instances", params={"limit": "2", "offset": "1"})
        assert [one["00080018"]["Value"][0] for one in answer.json()] == [file.sop for file in files[1:]]
        assert {one["0020000E"]["Value"][0] for one in answer.json()} == {series}
        assert sandbox.http.get(f"/v2/studies/{new_uid()}/instances").status_code == 204

    @pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "x"}, {"offset": "-1"}, {"PatientMood": "glad"}])
    def test_what_it_cannot_do_is_refused(self, sandbox: SandboxPeer, query: dict[str, str]) -> None:
        assert sandbox.http.get("/v2/studies", params=query).status_code == 400
