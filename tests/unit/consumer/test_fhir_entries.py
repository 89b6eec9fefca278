"""Entries that fail inside a transaction that the server took, and answers of 200 that are no answers."""

import asyncio
import json
from typing import Any

import pytest
from dicomcast_consumer.errors import ConflictError, ConsumerError, RejectedError, RetryableError, SystemicError
from dicomcast_consumer.fhir_answer import EntryAnswer, entry_answers
from dicomcast_consumer.worker import Limits
from dicomcast_sandbox.fhir.faults import RequestSeen
from dicomcast_schemas.topic import DeadLetterHeader, text_headers
from structlog.testing import capture_logs

from tests.fakes.events import create, delete, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member

JSON = {"content-type": "application/fhir+json"}
POST, PUT = {"method": "POST", "url": "Patient"}, {"method": "PUT", "url": "Patient/1"}


def writes(seen: RequestSeen) -> bool:
    return b'"transaction"' in seen.body


def finds_studies(seen: RequestSeen) -> bool:
    return seen.path.endswith("ImagingStudy/_search")


def outcome(code: str) -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}


def answer(*statuses: str, code: str = "processing") -> dict[str, Any]:
    entries = [{"response": {"status": status, "outcome": outcome(code)}} for status in statuses]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


async def instances(member: Member) -> list[str]:
    studies = await member.studies()
    return sorted(one["uid"] for study in studies for series in study["series"] for one in series["instance"])


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("400 Bad Request", RejectedError),
        ("422", RejectedError),
        ("403", SystemicError),
        ("404", ConflictError),
        ("409", ConflictError),
        ("412 Precondition Failed", ConflictError),
        ("429", RetryableError),
        ("500", RetryableError),
        ("", RetryableError),
    ],
)
def test_an_entry_that_failed_is_judged_as_a_whole_answer_is(status: str, error: type[ConsumerError]) -> None:
    with pytest.raises(error):
        entry_answers(answer("200 OK", status), [POST, PUT])


def test_entries_that_went_through_are_given_with_their_versions() -> None:
    said = answer("201 Created", "200")
    said["entry"][1]["response"]["etag"] = 'W/"7"'
    assert entry_answers(said, [POST, PUT]) == [
        EntryAnswer(status=201, version=None),
        EntryAnswer(status=200, version="7"),
    ]


@pytest.mark.parametrize("entries", [None, "none", [1], [{"response": 5}], [{}]])
def test_an_answer_of_another_shape_is_asked_for_again(entries: Any) -> None:
    with pytest.raises(RetryableError):
        entry_answers({"resourceType": "Bundle", "entry": entries}, [POST])


def test_a_server_that_runs_transactions_as_batches_is_refused() -> None:
    with pytest.raises(SystemicError, match="batch"):
        entry_answers({**answer("201"), "type": "batch-response"}, [POST])


@pytest.mark.parametrize("status", [400, 403, 409, 412, 429, 500])
def test_what_an_entry_refused_is_written_in_the_end(fhir: RunningFhirServer, status: int) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            body = json.dumps(answer(*[str(status)] * 3)).encode()
            fhir.faults.answer(200, when=writes, body=body, headers=JSON)
            member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
            await member.committed(1)
            assert await instances(member) == ["1.1.1"]
            assert member.source.letters == []

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [{}, outcome("timeout"), {"resourceType": "Parameters"}])
def test_an_answer_to_a_search_that_is_no_bundle_finds_nothing_out(fhir: RunningFhirServer, body: Any) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(create(n, "1.1", f"1.1.{n}"), offset=n - 1) for n in (1, 2)])
            await member.committed(2)
            fhir.faults.answer(200, when=finds_studies, body=json.dumps(body).encode(), headers=JSON)
            member.source.produce([record(delete(3, "1.1", "1.1.2"), offset=2)])
            await member.committed(3)
            assert await instances(member) == ["1.1.1"]

    asyncio.run(scenario())


def test_an_answer_to_a_read_that_is_another_resource_is_asked_for_again(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
            await member.committed(1)
            fhir.faults.answer(
                200,
                when=lambda seen: seen.method == "GET" and "/ImagingStudy/" in seen.path,
                body=json.dumps(outcome("timeout")).encode(),
                headers=JSON,
            )
            member.source.produce([record(delete(2, "1.1", "1.1.1"), offset=1)])
            await member.committed(2)
            assert await member.studies() == []

    asyncio.run(scenario())


def test_the_address_of_our_endpoint_is_a_persons_to_change(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
            await member.committed(1)
            (endpoint,) = await member.found("Endpoint")
            edited = {**endpoint, "address": "https://public.example.org/dicom-web"}
            assert (await member.fhir.put(f"Endpoint/{endpoint['id']}", json=edited)).status_code == 200
            member.source.produce([record(create(2, "1.2", "1.2.1"), offset=1)])
            await member.committed(2)
            assert [one["address"] for one in await member.found("Endpoint")] == [edited["address"]]
            expected = [{"reference": f"Endpoint/{endpoint['id']}"}]
            assert [study["endpoint"] for study in await member.studies()] == [expected, expected]

    asyncio.run(scenario())


def test_a_conflict_without_end_is_told_and_given_up_once_others_go_through(fhir: RunningFhirServer) -> None:
    limits = Limits(commit_every_s=0.02, max_runs=1)

    async def scenario() -> None:
        with capture_logs() as logs:
            async with running_member(fhir.base_url, limits=limits, stuck_after_s=0.2) as member:
                fhir.faults.answer(409, times=None, when=lambda seen: writes(seen) and b'"urn:oid:1.1"' in seen.body)
                member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
                for n in range(1, 200):
                    member.source.produce([record(create(n + 1, f"1.{n + 1}", f"1.{n + 1}.1"), offset=n)])
                    await asyncio.sleep(0.05)
                    if member.source.letters:
                        break
                await eventually(lambda: bool(member.source.letters), member.task)
                (letter,) = member.source.letters
                assert text_headers(letter.headers)[DeadLetterHeader.ERROR_CODE] == "fhir.unavailable"
        assert any(log["event"] == "study.waiting" and "409" in log["reason"] for log in logs)

    asyncio.run(scenario())


def test_decimals_of_other_people_keep_their_digits(fhir: RunningFhirServer) -> None:
    url = "http://hl7.org/fhir/StructureDefinition/geolocation"
    place = f'"extension":[{{"url":"{url}","extension":[{{"url":"latitude","valueDecimal":42.350}}]}}]'
    patient = f'{{"resourceType":"Patient","identifier":[{{"value":"P1"}}],"address":[{{{place}}}]}}'

    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            assert (await member.fhir.post("Patient", content=patient, headers=JSON)).status_code == 201
            member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
            await member.committed(1)
            found = (await member.fhir.get("Patient")).text
            assert '"versionId":"2"' in found
            assert '"valueDecimal":42.350' in found

    asyncio.run(scenario())
