"""Faults and journal of the sandbox's FHIR server, over real connections."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from dicomcast_sandbox.fhir import RequestSeen

from tests.contract.fhir.conftest import client_of
from tests.contract.fhir.resources import (
    assert_refused,
    condition,
    created,
    entry,
    fresh,
    path,
    patient,
    transaction,
)
from tests.fakes.fhir_server import RunningFhirServer, fhir_server


class TestAnswer:
    def test_the_next_requests_get_it_and_do_nothing(
        self, sandbox: RunningFhirServer, sandbox_client: httpx.Client
    ) -> None:
        sandbox.faults.answer(503, times=2, retry_after=7)
        for _ in range(2):
            response = sandbox_client.post("Patient", json=patient())
            assert_refused(response, 503)
            assert response.headers["retry-after"] == "7"
        assert sandbox.store.counts() == {}
        assert sandbox_client.post("Patient", json=patient()).status_code == 201

    def test_a_predicate_chooses_by_the_body(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        value = fresh()

        def names_it(seen: RequestSeen) -> bool:
            return seen.method == "POST" and value.encode() in seen.body

        sandbox.faults.answer(422, times=None, when=names_it, body=b"plain", headers={"content-type": "text/plain"})
        for _ in range(3):
            response = transaction(sandbox_client, entry("POST", "Patient", patient(value)))
            assert (response.status_code, response.text) == (422, "plain")
            assert transaction(sandbox_client, entry("POST", "Patient", patient())).status_code == 200
        sandbox.faults.clear()
        assert transaction(sandbox_client, entry("POST", "Patient", patient(value))).status_code == 200

    def test_faults_are_used_in_their_order(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        for status in (500, 429, 503):
            sandbox.faults.answer(status)
        assert [sandbox_client.get("metadata").status_code for _ in range(4)] == [500, 429, 503, 200]


class TestConnection:
    def test_dropped_after_the_write_it_is_done(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        person = patient()
        sandbox.faults.drop_after_write()
        create = entry("POST", "Patient", person, ifNoneExist=condition(person))
        with pytest.raises(httpx.RemoteProtocolError):
            transaction(sandbox_client, create)
        again = transaction(sandbox_client, create).json()["entry"][0]["response"]
        assert again["status"] == "200 OK"
        assert [one.status for one in sandbox.journal.writes()] == [0, 200]

    def test_dropped_before_nothing_is_done(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        sandbox.faults.drop()
        with pytest.raises(httpx.RemoteProtocolError):
            sandbox_client.post("Patient", json=patient())
        assert sandbox.store.counts() == {}

    def test_a_hanging_request_is_answered_at_clear(self, sandbox: RunningFhirServer) -> None:
        sandbox.faults.hang()
        with client_of(sandbox.base_url) as one, client_of(sandbox.base_url) as other, ThreadPoolExecutor(1) as pool:
            hanging = pool.submit(one.get, "metadata")
            _wait_until_taken(sandbox)
            assert other.get("metadata").status_code == 200
            assert not hanging.done()
            sandbox.faults.clear()
            assert hanging.result(30).status_code == 503

    def test_a_client_that_gives_up_is_no_error(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        sandbox.faults.hang()
        with pytest.raises(httpx.ReadTimeout):
            sandbox_client.get("metadata", timeout=0.2)
        sandbox.faults.clear()
        assert sandbox_client.get("metadata").status_code == 200


class TestOutage:
    def test_the_same_store_on_the_same_port_is_the_server_after_an_outage(self) -> None:
        with fhir_server() as before, client_of(before.base_url) as client:
            stored = created(client, patient())
        with client_of(before.base_url) as client, pytest.raises(httpx.ConnectError):
            client.get("metadata")
        with fhir_server(store=before.store, port=before.port) as after, client_of(after.base_url) as client:
            assert client.get(path(stored)).json() == stored


class TestJournal:
    def test_it_counts_requests_by_path_and_method(
        self, sandbox: RunningFhirServer, sandbox_client: httpx.Client
    ) -> None:
        stored = created(sandbox_client, patient())
        sandbox_client.get(path(stored))
        sandbox_client.post("Patient/_search", data={"identifier": "x"})
        sandbox_client.get("Patient/nobody")
        seen = [(one.method, one.path, one.status) for one in sandbox.journal.entries]
        assert seen == [
            ("POST", "/fhir/Patient", 201),
            ("GET", f"/fhir/{path(stored)}", 200),
            ("POST", "/fhir/Patient/_search", 200),
            ("GET", "/fhir/Patient/nobody", 404),
        ]
        assert len(sandbox.journal.of("/Patient", "GET")) == 2
        assert len(sandbox.journal.writes()) == 1
        sandbox.journal.clear()
        assert sandbox.journal.entries == []


def _wait_until_taken(sandbox: RunningFhirServer) -> None:
    deadline = time.monotonic() + 30
    while sandbox.faults.waiting() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not sandbox.faults.waiting()
