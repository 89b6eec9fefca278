"""What only the sandbox's server does: it can be bent (gaps, poison, faults), updates studies, asks for credentials."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from dicomcast_sandbox.dicom import Access, Basic, Bearer, ClientCredentials, Poison, read_instance

from tests.contract.change_feed.files import DicomFile, dicom_file, new_uid
from tests.contract.change_feed.peers import SandboxPeer
from tests.fakes.dicom_server import dicom_server


def store_some(sandbox: SandboxPeer, count: int) -> list[DicomFile]:
    files = [dicom_file() for _ in range(count)]
    for file in files:
        sandbox.store(file)
    return files


def sequences(sandbox: SandboxPeer, version: int = 1, **query: object) -> list[int]:
    return [entry["sequence"] for entry in sandbox.page(version, includeMetadata="false", **query)]


def test_empty_server_has_no_latest(sandbox: SandboxPeer) -> None:
    assert sandbox.latest(1) is None
    assert sandbox.latest(2) is None
    assert sandbox.page(1) == sandbox.page(2) == []


def test_reset_counts_from_one_again(sandbox: SandboxPeer) -> None:
    store_some(sandbox, 2)
    sandbox.server.store.reset()
    assert sandbox.latest() is None
    store_some(sandbox, 1)
    assert sequences(sandbox) == [1]


class TestGaps:
    def test_window_over_a_gap_is_empty_and_not_the_end(self, sandbox: SandboxPeer) -> None:
        store_some(sandbox, 1)
        assert sandbox.server.store.skip_sequences(25) == range(2, 27)
        store_some(sandbox, 1)
        assert sequences(sandbox, offset=1, limit=10) == []
        assert sequences(sandbox, offset=21, limit=10) == [27]
        assert sequences(sandbox, 2) == [1, 27]

    def test_a_gap_can_be_filled_late(self, sandbox: SandboxPeer) -> None:
        (late,) = sandbox.server.store.skip_sequences(1)
        store_some(sandbox, 1)
        assert sequences(sandbox) == [2]
        sandbox.server.store.create(read_instance(dicom_file().content), sequence=late)
        assert sequences(sandbox) == [1, 2]
        assert sequences(sandbox, 2) == [2, 1], "v2 goes by time"
        assert (sandbox.latest(1) or {})["sequence"] == 2
        assert (sandbox.latest(2) or {})["sequence"] == 1


class TestPoison:
    @pytest.mark.parametrize(("kind", "status"), [(Poison.ERROR_500, 500), (Poison.ERROR_400, 400)])
    def test_one_instance_fails_its_page(self, sandbox: SandboxPeer, kind: Poison, status: int) -> None:
        files = store_some(sandbox, 3)
        sandbox.server.store.poison(files[1].sop, kind)
        assert sandbox.http.get("/v1/changefeed").status_code == status
        assert sandbox.http.get("/v2/changefeed").status_code == status
        assert [sandbox.http.get(f"/v1/changefeed?offset={at}&limit=1").status_code for at in range(3)] == [
            200,
            status,
            200,
        ]
        assert sequences(sandbox) == [1, 2, 3]
        assert wado(sandbox, files[1]).status_code == 200

    def test_malformed_json(self, sandbox: SandboxPeer) -> None:
        files = store_some(sandbox, 2)
        sandbox.server.store.poison(files[0].sop, Poison.MALFORMED)
        answer = sandbox.http.get("/v1/changefeed")
        assert answer.status_code == 200
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert len(sandbox.page(offset=1)) == 1

    def test_lost_metadata_is_lost_to_wado_as_well(self, sandbox: SandboxPeer) -> None:
        (file,) = store_some(sandbox, 1)
        sandbox.server.store.lose_metadata(file.sop)
        assert sandbox.http.get("/v1/changefeed").status_code == 500
        assert sandbox.http.get("/v1/changefeed/latest").status_code == 500
        assert wado(sandbox, file).status_code == 404

    def test_a_deleted_instance_poisons_nothing(self, sandbox: SandboxPeer) -> None:
        (file,) = store_some(sandbox, 1)
        sandbox.server.store.lose_metadata(file.sop)
        sandbox.delete(*file.uids)
        assert [entry["state"] for entry in sandbox.page()] == ["Deleted", "Deleted"]


def wado(sandbox: SandboxPeer, file: DicomFile) -> httpx.Response:
    return sandbox.http.get(f"/v2/studies/{file.study}/series/{file.series}/instances/{file.sop}/metadata")


NEW_ID = {"00100020": {"vr": "LO", "Value": ["new id"]}}


class TestUpdate:
    def update(self, sandbox: SandboxPeer, studies: list[str], change: object) -> httpx.Response:
        body = {"studyInstanceUids": studies, "changeDataset": change}
        return sandbox.http.post("/v2/studies/$bulkUpdate", json=body)

    def test_every_instance_of_the_study_gets_an_update(self, sandbox: SandboxPeer) -> None:
        study = new_uid()
        for _ in range(2):
            sandbox.store(dicom_file(study=study))
        (other,) = store_some(sandbox, 1)
        assert self.update(sandbox, [study], NEW_ID).status_code == 202
        sandbox.wait_for(study, *[("Create", "Replaced")] * 2, *[("Update", "Current")] * 2)
        metadata = [entry["metadata"] for entry in sandbox.entries(study, metadata=True)]
        assert [one["00100020"]["Value"] for one in metadata] == [["new id"]] * 4
        sandbox.wait_for(other.study, ("Create", "Current"))

    @pytest.mark.parametrize(
        "change",
        [{}, {"00080018": {"vr": "UI", "Value": ["1"]}}, {"00100020": {"vr": "LO"}}, "text"],
        ids=["nothing", "a UID", "emptied", "no object"],
    )
    def test_what_cannot_be_changed(self, sandbox: SandboxPeer, change: object) -> None:
        (file,) = store_some(sandbox, 1)
        assert self.update(sandbox, [file.study], change).status_code == 400
        assert sandbox.position() == 1

    def test_at_most_fifty_studies(self, sandbox: SandboxPeer) -> None:
        assert self.update(sandbox, [new_uid() for _ in range(51)], NEW_ID).status_code == 400
        assert sandbox.http.post("/v2/studies/$bulkUpdate", content=b"{").status_code == 400


class TestFaultsAndJournal:
    def test_faults_come_in_order_and_end(self, sandbox: SandboxPeer) -> None:
        faults = sandbox.server.faults
        faults.answer(503, times=2, path_part="changefeed", headers={"Retry-After": "1"})
        faults.answer(500, path_part="latest")
        answers = [sandbox.http.get("/v1/changefeed/latest") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [503, 503, 500, 204]
        assert answers[0].headers["retry-after"] == "1"
        assert sandbox.http.get("/v2/studies").status_code == 204, "faults touch only the paths they name"

    def test_a_request_hangs_until_it_is_let_go(self, sandbox: SandboxPeer) -> None:
        sandbox.server.faults.hang(path_part="latest")
        with pytest.raises(httpx.ReadTimeout):
            sandbox.http.get("/v1/changefeed/latest", timeout=0.2)
        sandbox.server.faults.hang(path_part="latest")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(sandbox.http.get, "/v1/changefeed/latest")
            time.sleep(0.1)
            assert not waiting.done()
            sandbox.server.faults.clear()
            assert waiting.result().status_code == 503

    def test_journal(self, sandbox: SandboxPeer) -> None:
        sandbox.http.get("/v1/changefeed", params={"limit": "0"}, headers={"Authorization": "Bearer secret"})
        sandbox.latest(2)
        first, second = sandbox.server.journal.of("changefeed", "GET")
        assert (first.path, first.query, first.status) == ("/v1/changefeed", "limit=0", 400)
        assert first.authorization_scheme == "Bearer"
        assert (second.path, second.status, second.authorization_scheme) == ("/v2/changefeed/latest", 204, None)


class TestAccess:
    @pytest.mark.parametrize(
        ("access", "good", "bad"),
        [
            (Basic("user", "påss"), httpx.BasicAuth("user", "påss"), httpx.BasicAuth("user", "other")),
            (Bearer("token"), {"Authorization": "Bearer token"}, {"Authorization": "Bearer other"}),
            (Bearer("token"), {"Authorization": "bearer token"}, {"Authorization": "Basic token"}),
        ],
        ids=["basic", "bearer", "scheme of any case"],
    )
    def test_credentials(self, access: Access, good: object, bad: object) -> None:
        with dicom_server(access=access) as server:
            assert httpx.get(f"{server.base_url}/v1/changefeed").status_code == 401
            for credentials, status in ((good, 200), (bad, 401)):
                given = {"auth" if isinstance(credentials, httpx.Auth) else "headers": credentials}
                assert httpx.get(f"{server.base_url}/v1/changefeed", **given).status_code == status  # type: ignore[arg-type]
            assert httpx.get(server.base_url).status_code == 200, "the page for people is open"

    def test_client_credentials(self) -> None:
        access = ClientCredentials("client", "secret")
        with dicom_server(access=access) as server, httpx.Client(base_url=server.base_url) as http:
            form = {"grant_type": "client_credentials"}
            assert http.post("/token", data=form).status_code == 401
            assert http.post("/token", data={"grant_type": "password"}).status_code == 400
            in_form = {**form, "client_id": "client", "client_secret": "secret"}
            token = http.post("/token", data=in_form).json()["access_token"]
            assert http.post("/token", data=form, auth=("client", "secret")).json()["token_type"] == "Bearer"
            headers = {"Authorization": f"Bearer {token}"}
            assert http.get("/v1/changefeed", headers=headers).status_code == 200
            access.revoke_all()
            assert http.get("/v1/changefeed", headers=headers).status_code == 401
            assert access.issued == 2

    def test_tokens_expire(self) -> None:
        access = ClientCredentials("client", "secret", lifetime_s=0.0)
        with dicom_server(access=access) as server, httpx.Client(base_url=server.base_url) as http:
            form = {"grant_type": "client_credentials", "client_id": "client", "client_secret": "secret"}
            token = http.post("/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            assert http.get("/v1/changefeed", headers=headers).status_code == 401


def test_page_for_people_counts_and_shows_no_values(sandbox: SandboxPeer) -> None:
    file = dicom_file(PatientID="Nobody knows", PatientName="Somebody^Some")
    sandbox.store(file)
    page = sandbox.http.get("/").text
    assert "<th scope=row>instances</th><td>1</td>" in page
    assert "Nobody" not in page
    assert "Somebody" not in page
    assert file.sop not in page
