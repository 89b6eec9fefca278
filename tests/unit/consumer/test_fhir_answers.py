"""What each answer of the FHIR server leads to, row by row of the table in ARCHITECTURE.md; the plainest rows are in
test_member.py, those that concern every study in test_member_faults.py."""

import asyncio
import email.utils
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from dicomcast_consumer.worker import Limits
from dicomcast_runtime.peer_settings import AuthSettings
from dicomcast_sandbox.dicom import ClientCredentials
from dicomcast_sandbox.fhir.faults import RequestSeen
from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import DeadLetterHeader, text_headers
from pydantic import SecretStr
from structlog.testing import capture_logs

from tests.fakes.events import create, delete, record
from tests.fakes.fhir_server import RunningFhirServer, fhir_server
from tests.fakes.member import Member, eventually, running_member
from tests.services.server import free_ports

ONE_BY_ONE = Limits(commit_every_s=0.02, max_runs=1)


def writes(seen: RequestSeen) -> bool:
    return b'"transaction"' in seen.body


def codes(member: Member) -> list[str]:
    return [text_headers(letter.headers)[DeadLetterHeader.ERROR_CODE] for letter in member.source.letters]


def feed(count: int) -> list[DicomChangeEvent]:
    """A study each, of a patient each."""
    return [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, count + 1)]


async def applied(member: Member, events: Sequence[DicomChangeEvent]) -> None:
    begin = len(member.source.log[0])
    member.source.produce([record(event, offset=begin + n) for n, event in enumerate(events)])
    await member.committed(begin + len(events))
    assert member.source.letters == []


# --- 401 ---


def test_401_a_revoked_token_is_renewed_and_nothing_waits() -> None:
    access = ClientCredentials("client", "secret")
    with fhir_server(access=access) as fhir:
        auth = AuthSettings(
            kind="oauth2",
            token_url=fhir.base_url.removesuffix("fhir") + "token",
            client_id="client",
            client_secret=SecretStr("secret"),
        )

        async def scenario() -> None:
            async with running_member(fhir.base_url, auth=auth) as member:
                await applied(member, feed(2))
                access.revoke_all()
                await applied(member, [create(9, "1.9", "1.9.1")])
                assert len(await member.studies()) == 3

        asyncio.run(scenario())


def test_401_with_a_fresh_token_too_is_waited_for(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            fhir.faults.answer(401, times=10)
            await applied(member, feed(3))

    asyncio.run(scenario())


# --- 408, 425, 429, 5xx, connections ---


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_waited_for(fhir: RunningFhirServer, form: str) -> None:
    async def scenario() -> None:
        until = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
        asked_at: list[float] = []
        fhir.faults.answer(503, retry_after=2 if form == "seconds" else until, when=writes)
        fhir.faults.answer(500, when=lambda seen: writes(seen) and asked_at.append(time.monotonic()) is not None)
        async with running_member(fhir.base_url) as member:
            begun = time.monotonic()
            await applied(member, feed(1))
            # The date has no fractions of seconds and was written before the request.
            assert asked_at[0] - begun >= (2 if form == "seconds" else 1)

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [429, 503])
def test_a_storm_of_refusals_loses_and_doubles_nothing(fhir: RunningFhirServer, status: int) -> None:
    async def scenario() -> None:
        calls = 0

        def two_of_three(_: RequestSeen) -> bool:
            nonlocal calls
            calls += 1
            return calls % 3 != 0

        fhir.faults.answer(status, times=60, retry_after=0, when=two_of_three)
        async with running_member(fhir.base_url, limits=ONE_BY_ONE) as member:
            await applied(member, feed(12))
            assert len(await member.studies()) == 12
            assert len(await member.found("Patient")) == 12

    asyncio.run(scenario())


@pytest.mark.parametrize("effect", ["hang", "drop", "drop_after_write"])
@pytest.mark.parametrize("what", ["create", "update", "delete"])
def test_an_answer_that_never_comes_is_asked_for_again(fhir: RunningFhirServer, effect: str, what: str) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, timeout_s=1.0) as member:
            if what != "create":
                await applied(member, [create(1, "1.1", "1.1.1")])
            event = {
                "create": create(1, "1.1", "1.1.1"),
                "update": create(2, "1.1", "1.1.2"),
                "delete": delete(2, "1.1", "1.1.1"),
            }[what]
            break_it = getattr(fhir.faults, effect)
            break_it(when=lambda seen: seen.method == "DELETE" if what == "delete" else writes(seen))
            await applied(member, [event])
            studies = await member.studies()
            instances = [i["uid"] for study in studies for series in study["series"] for i in series["instance"]]
            assert instances == {"create": ["1.1.1"], "update": ["1.1.1", "1.1.2"], "delete": []}[what]
            assert len(await member.found("Patient")) == 1
            assert not fhir.faults.waiting()

    asyncio.run(scenario())


# --- 409, 412, 404 or 410 on a named resource ---


@pytest.mark.parametrize("status", [404, 409, 410, 412])
def test_a_conflict_that_lasts_is_no_letter(fhir: RunningFhirServer, status: int) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            fhir.faults.answer(status, times=25, when=writes)
            await applied(member, feed(2))
            assert len(await member.studies()) == 2

    asyncio.run(scenario())


def test_someone_elses_write_between_read_and_write_is_kept(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            await applied(member, [create(1, "1.1", "1.1.1")])
            (study,) = await member.studies()
            member.source.answers_commits = False  # it has read, and waits for the proof
            member.source.produce([record(create(2, "1.1", "1.1.2"), offset=1)])
            await eventually(lambda: len(fhir.journal.of("ImagingStudy/_search")) >= 2, member.task)
            theirs = {**study, "note": [{"text": "theirs"}]}
            assert (await member.fhir.put(f"ImagingStudy/{study['id']}", json=theirs)).status_code == 200
            member.source.answer_commits()
            await member.committed(2)
            (study,) = await member.studies()
            assert "theirs" in [note["text"] for note in study["note"]]
            assert 409 in [write.status for write in fhir.journal.writes()]
            assert study["numberOfInstances"] == 2

    asyncio.run(scenario())


# --- 400, 413, 422, several matches ---


@pytest.mark.parametrize("status", [400, 413, 422])
def test_content_that_is_refused_is_one_letter(fhir: RunningFhirServer, status: int) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            fhir.faults.answer(status, times=None, when=lambda seen: writes(seen) and b'"1.2.1"' in seen.body)
            member.source.produce([record(event, offset=n) for n, event in enumerate(feed(3))])
            await member.committed(3)
            assert codes(member) == [f"fhir.{status}"]
            headers = text_headers(member.source.letters[0].headers)
            assert headers[DeadLetterHeader.HTTP_STATUS] == str(status)
            assert len(await member.studies()) == 2

    asyncio.run(scenario())


def test_413_for_a_large_bundle_alone_is_taken_apart_without_a_letter(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            fhir.faults.answer(413, times=None, when=lambda seen: writes(seen) and len(seen.body) > 4_000)
            await applied(member, [create(n, "1.1", f"1.1.{n}") for n in range(1, 12)])
            (study,) = await member.studies()
            assert study["numberOfInstances"] == 11

    asyncio.run(scenario())


def test_two_patients_with_the_identifier_are_a_letter_and_hold_nobody_up(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        for _ in range(2):
            twin = {"resourceType": "Patient", "identifier": [{"value": "P1"}]}
            assert httpx.post(f"{fhir.base_url}/Patient", json=twin).status_code == 201
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(event, offset=n) for n, event in enumerate(feed(3))])
            await member.committed(3)
            assert codes(member) == ["fhir.multiple_matches"]
            assert len(await member.studies()) == 2

    asyncio.run(scenario())


def test_a_server_that_refuses_everything_gets_few_letters_with_bundles_of_studies_too(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=Limits(commit_every_s=0.02, max_runs=4)) as member:
            fhir.faults.answer(400, times=None, when=writes)
            member.source.produce([record(event, offset=n) for n, event in enumerate(feed(30))])
            await eventually(lambda: len(fhir.journal.writes()) > 30, member.task)
            before = len(codes(member))
            assert before < 10
            fhir.faults.clear()
            await member.committed(30)
            assert len(await member.studies()) == 30 - len(codes(member))
            assert len(codes(member)) < 10

    asyncio.run(scenario())


# --- no answer at all ---


def test_no_connection_is_an_outage_when_a_single_study_waits() -> None:
    (port,) = free_ports(1)

    async def scenario() -> None:
        with capture_logs() as logs:
            async with running_member(f"http://127.0.0.1:{port}/fhir", limits=Limits(drain_s=0.1)) as member:
                member.source.produce([record(event, offset=0) for event in feed(1)])
                await eventually(lambda: any(one["event"] == "breaker.opened" for one in logs), member.task)
                assert member.source.committed.get(0, 0) == 0
                assert member.source.letters == []
        (waiting, *_) = [one for one in logs if one["event"] == "study.waiting"]
        assert waiting == {
            "event": "study.waiting",
            "log_level": "warning",
            "partition": 0,
            "attempts": 3,
            "reason": f"FHIR at http://127.0.0.1:{port}/fhir: ConnectError: check DICOMCAST_FHIR__URL",
        }

    asyncio.run(scenario())
