"""The other answers that R4 allows and HAPI does not give: a client should live with either."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from dicomcast_sandbox.fhir import STRICT

from tests.contract.fhir.conftest import client_of
from tests.contract.fhir.resources import (
    assert_refused,
    condition,
    created,
    entry,
    path,
    patient,
    statuses,
    study,
    transaction,
    urn,
)
from tests.fakes.fhir_server import fhir_server


@pytest.fixture
def strict() -> Iterator[httpx.Client]:
    with fhir_server(dialect=STRICT) as server, client_of(server.base_url) as client:
        yield client


class TestStrict:
    def test_a_stale_version_is_a_failed_precondition(self, strict: httpx.Client) -> None:
        first = created(strict, patient())
        strict.put(path(first), json=first | {"gender": "male"})
        assert_refused(strict.put(path(first), json=first, headers={"if-match": 'W/"1"'}), 412)
        assert_refused(transaction(strict, entry("PUT", path(first), first, ifMatch='W/"1"')), 412)

    def test_a_delete_honours_if_match(self, strict: httpx.Client) -> None:
        first = created(strict, patient())
        strict.put(path(first), json=first | {"gender": "male"})
        assert_refused(strict.delete(path(first), headers={"if-match": 'W/"1"'}), 412)
        assert_refused(transaction(strict, entry("DELETE", path(first), ifMatch='W/"1"')), 412)
        assert strict.delete(path(first), headers={"if-match": 'W/"2"'}).status_code == 200

    def test_the_etag_of_an_entry_is_weak(self, strict: httpx.Client) -> None:
        response = transaction(strict, entry("POST", "Patient", patient()))
        assert response.json()["entry"][0]["response"]["etag"] == 'W/"1"'

    def test_two_equal_conditional_creates_get_an_answer_each(self, strict: httpx.Client) -> None:
        person, names = patient(), (urn(), urn())
        entries = [entry("POST", "Patient", person, name, ifNoneExist=condition(person)) for name in names]
        response = transaction(strict, *entries, entry("POST", "ImagingStudy", study(names[1])))
        assert statuses(response) == [201, 200, 201]
        locations = [one["response"]["location"] for one in response.json()["entry"]]
        assert locations[0] == locations[1]

    def test_a_history_lists_every_version(self, strict: httpx.Client) -> None:
        first = created(strict, patient())
        strict.get(f"{path(first)}/_history")
        strict.put(path(first), json=first | {"gender": "male"})
        assert len(strict.get(f"{path(first)}/_history").json()["entry"]) == 2


class TestPageSize:
    def test_twenty_matches_are_a_page_unless_the_client_says_more(self, sandbox_client: httpx.Client) -> None:
        subject = created(sandbox_client, patient())
        for _ in range(21):
            created(sandbox_client, study(path(subject)))
        found = sandbox_client.get("ImagingStudy", params={"patient": subject["id"]}).json()
        assert (len(found["entry"]), found["total"]) == (20, 21)
        found = sandbox_client.get("ImagingStudy", params={"patient": subject["id"], "_count": "50"}).json()
        assert len(found["entry"]) == 21
