"""Events without metadata, through a whole member: what each answer of the DICOM server (WADO-RS) leads to."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from dicomcast_consumer.record import Record
from dicomcast_consumer.worker import Limits
from dicomcast_runtime.peer_settings import AuthSettings
from dicomcast_sandbox.dicom import ClientCredentials
from dicomcast_sandbox.dicom.instance import instance_from_json
from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import METADATA, METADATA_TOO_LARGE, DeadLetterHeader, text_headers
from pydantic import SecretStr

from tests.fakes.dicom_server import DicomServer, dicom_server
from tests.fakes.events import create, delete, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member
from tests.services.server import free_ports

FAST = Limits(commit_every_s=0.02)


def bare(event: DicomChangeEvent, *, offset: int) -> Record:
    """The record of an event whose metadata was too large."""
    sent = record(replace(event, metadata=None), offset=offset)
    return replace(sent, headers=(*sent.headers, (METADATA, METADATA_TOO_LARGE.encode())))


def store(dicom: DicomServer, *events: DicomChangeEvent) -> None:
    for event in events:
        dicom.store.create(instance_from_json(json.loads(event.metadata or "")))


def codes(member: Member) -> list[str]:
    return [text_headers(letter.headers)[DeadLetterHeader.ERROR_CODE] for letter in member.source.letters]


async def found(member: Member) -> set[str]:
    """The SOP Instance UIDs in FHIR."""
    studies = await member.studies()
    return {i["uid"] for study in studies for series in study["series"] for i in series["instance"]}


def asked(dicom: DicomServer) -> int:
    """How often metadata was asked for."""
    return len([entry for entry in dicom.journal.of("/metadata") if entry.method == "GET"])


EVENTS = [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, 4)]


def records(events: Sequence[DicomChangeEvent] = EVENTS) -> list[Record]:
    return [bare(event, offset=n) for n, event in enumerate(events)]


@pytest.mark.parametrize("status", [400, 401, 403, 405, 408, 429, 500, 502, 503, 504])
def test_an_answer_that_is_no_metadata_is_waited_for(fhir: RunningFhirServer, dicom: DicomServer, status: int) -> None:
    store(dicom, *EVENTS)
    dicom.faults.answer(status, times=1_000_000, path_part="/metadata")

    async def scenario() -> None:
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST) as member:
            member.source.produce(records())
            await eventually(lambda: asked(dicom) >= 12, member.task)
            assert codes(member) == []
            assert member.source.committed.get(0, 0) == 0
            dicom.faults.clear()
            await member.committed(3)
            assert codes(member) == []
            assert await found(member) == {"1.1.1", "1.2.1", "1.3.1"}

    asyncio.run(scenario())


def test_a_server_that_hangs_is_asked_again(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    store(dicom, *EVENTS)
    dicom.faults.hang(times=6, path_part="/metadata")

    async def scenario() -> None:
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST, timeout_s=0.5) as member:
            member.source.produce(records())
            await member.committed(3)
            assert codes(member) == []
            assert await found(member) == {"1.1.1", "1.2.1", "1.3.1"}

    asyncio.run(scenario())


def test_a_server_that_is_down_is_waited_for(fhir: RunningFhirServer) -> None:
    (port,) = free_ports(1)

    async def scenario() -> None:
        url = f"http://127.0.0.1:{port}/v2"
        async with running_member(fhir.base_url, dicomweb=url, limits=FAST) as member:
            member.source.produce(records())
            await asyncio.sleep(0.5)
            assert codes(member) == []
            assert member.source.committed.get(0, 0) == 0
            with dicom_server(port=port) as dicom:
                store(dicom, *EVENTS)
                await member.committed(3)
            assert codes(member) == []
            assert await found(member) == {"1.1.1", "1.2.1", "1.3.1"}

    asyncio.run(scenario())


@pytest.mark.parametrize("said", ["<html>login</html>", "[]", "[{}, {}]", "{}", "[" * 100_000])
def test_an_answer_of_another_shape_is_waited_for(fhir: RunningFhirServer, dicom: DicomServer, said: str) -> None:
    store(dicom, *EVENTS)
    dicom.faults.answer(200, times=4, path_part="/metadata", body=said)

    async def scenario() -> None:
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST) as member:
            member.source.produce(records())
            await member.committed(3)
            assert codes(member) == []
            assert await found(member) == {"1.1.1", "1.2.1", "1.3.1"}

    asyncio.run(scenario())


@pytest.mark.parametrize("status", [404, 410])
def test_an_instance_that_is_gone_is_one_letter(fhir: RunningFhirServer, dicom: DicomServer, status: int) -> None:
    store(dicom, *EVENTS)
    dicom.faults.answer(status, times=1_000_000, path_part="/1.2.1/metadata")

    async def scenario() -> None:
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST) as member:
            member.source.produce([*records(), record(delete(4, "1.2", "1.2.1"), offset=3)])
            await member.committed(4)
            assert codes(member) == ["source.gone"]
            headers = text_headers(member.source.letters[0].headers)
            assert headers[DeadLetterHeader.REASON] == "source"
            assert headers[DeadLetterHeader.HTTP_STATUS] == str(status)
            assert await found(member) == {"1.1.1", "1.3.1"}

    asyncio.run(scenario())


def test_a_proxy_without_its_server_has_lost_no_instance(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    """Bug put back: a 404 is believed whoever answers it, and the feed's bare events flow to the dead letters."""
    store(dicom, *EVENTS)
    dicom.faults.answer(404, times=1_000_000)

    async def scenario() -> None:
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST) as member:
            member.source.produce(records())
            await eventually(lambda: asked(dicom) >= 12, member.task)
            assert codes(member) == []
            dicom.faults.clear()
            await member.committed(3)
            assert codes(member) == []
            assert await found(member) == {"1.1.1", "1.2.1", "1.3.1"}

    asyncio.run(scenario())


def test_what_needs_no_metadata_goes_on(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    """Bugs put back: the studies of a group wait with the one that needs metadata; what waits counts as in flight."""
    away = [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, 41)]
    store(dicom, *away)
    dicom.faults.hang(times=1_000_000, path_part="/metadata")

    async def scenario() -> None:
        limits = Limits(commit_every_s=0.02, max_in_flight=4, max_runs=5)
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=limits, partitions=2) as member:
            others = [create(100 + n, f"2.{n}", f"2.{n}.1", patient_id=f"Q{n}") for n in range(40)]
            member.source.produce(records(away))
            member.source.produce([record(event, offset=40 + n) for n, event in enumerate(others)])
            member.source.produce([record(create(200, "3.1", "3.1.1"), offset=0, partition=1)])
            # Of a study that waits, a later event waits as well.
            member.source.produce([record(create(201, "1.1", "1.1.2", patient_id="P1"), offset=80)])
            await member.committed(1, partition=1)
            await eventually(lambda: member.worker.fates["applied"] == 41, member.task)
            assert await found(member) == {"3.1.1", *(event.sop_instance_uid for event in others)}
            assert member.source.committed.get(0, 0) == 0
            dicom.faults.clear()
            await member.committed(81)
            assert codes(member) == []
            assert len(await found(member)) == 82

    asyncio.run(scenario())


def test_in_strict_order_everything_waits(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    store(dicom, EVENTS[0])
    dicom.faults.answer(503, times=1_000_000, path_part="/metadata")

    async def scenario() -> None:
        limits = Limits(commit_every_s=0.02, max_in_flight=1)
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=limits) as member:
            member.source.produce([bare(EVENTS[0], offset=0), record(EVENTS[1], offset=1)])
            await eventually(lambda: asked(dicom) >= 5, member.task)
            assert await member.studies() == []
            dicom.faults.clear()
            await member.committed(2)
            assert await found(member) == {"1.1.1", "1.2.1"}

    asyncio.run(scenario())


def test_after_an_outage_no_more_is_in_flight_than_allowed(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    """Bug put back: what waited for the DICOM server goes to FHIR all at once."""
    away = [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, 31)]
    store(dicom, *away)
    dicom.faults.hang(times=30, path_part="/metadata")

    async def scenario() -> None:
        limits = Limits(commit_every_s=0.02, max_in_flight=2)
        async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=limits) as member:
            for offset in (0, 1):  # the Endpoint is made, then seen: until then writers queue for it
                member.source.produce([record(create(100, f"2.{offset}", f"2.{offset}.1"), offset=offset)])
                await member.committed(offset + 1)
            fhir.faults.hang(times=1_000_000)
            member.source.produce([bare(event, offset=n) for n, event in enumerate(away, start=2)])
            await eventually(lambda: member.worker.state.studies_in_flight == 30, member.task)
            dicom.faults.clear()
            await asyncio.sleep(1.5)
            assert 0 < fhir.faults.hanging() <= 2 * 3  # three searches each
            fhir.faults.clear()
            await member.committed(32)
            assert len(await found(member)) == 32

    asyncio.run(scenario())


def test_one_instance_that_is_never_readable_is_found_while_others_are(
    fhir: RunningFhirServer, dicom: DicomServer
) -> None:
    """Bug put back: its study waits for ever, and then its partition."""
    store(dicom, *EVENTS)
    dicom.faults.answer(500, times=1_000_000, path_part="/1.2.1/metadata")

    async def scenario() -> None:
        options = {"dicomweb": dicom.dicomweb_url, "limits": FAST, "stuck_after_s": 0.3}
        async with running_member(fhir.base_url, **options) as member:  # type: ignore[arg-type]
            later = create(4, "1.2", "1.2.2", patient_id="P2")
            store(dicom, later)
            member.source.produce([*records(), bare(later, offset=3)])
            await member.committed(4)
            assert codes(member) == ["source.unavailable"]
            assert await found(member) == {"1.1.1", "1.2.2", "1.3.1"}

    asyncio.run(scenario())


def test_an_outage_is_never_taken_for_one_bad_instance(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    """The searches go on, as where an index is there and the store of the data sets is not."""
    store(dicom, *EVENTS)
    dicom.faults.answer(500, times=1_000_000, path_part="/metadata")

    async def scenario() -> None:
        options = {"dicomweb": dicom.dicomweb_url, "limits": FAST, "stuck_after_s": 0.1}
        async with running_member(fhir.base_url, **options) as member:  # type: ignore[arg-type]
            member.source.produce(records())
            await asyncio.sleep(1.5)
            assert codes(member) == []
            dicom.faults.clear()
            await member.committed(3)
            assert codes(member) == []

    asyncio.run(scenario())


def test_401_a_revoked_token_is_renewed_and_a_wrong_secret_waits(fhir: RunningFhirServer) -> None:
    access = ClientCredentials("client", "secret")
    with dicom_server(access=access) as dicom:
        store(dicom, *EVENTS)

        def auth(secret: str) -> AuthSettings:
            url = f"{dicom.base_url}/token"
            return AuthSettings(kind="oauth2", token_url=url, client_id="client", client_secret=SecretStr(secret))

        async def scenario() -> None:
            async with running_member(
                fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST, dicom_auth=auth("secret")
            ) as member:
                member.source.produce(records()[:1])
                await member.committed(1)
                access.revoke_all()
                member.source.produce(records()[1:])
                await member.committed(3)
                assert codes(member) == []
            async with running_member(
                fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST, dicom_auth=auth("wrong")
            ) as member:
                member.source.produce(records())
                await asyncio.sleep(0.5)
                assert codes(member) == []
                assert member.source.committed.get(0, 0) == 0

        asyncio.run(scenario())


def test_the_host_is_that_of_the_settings_whatever_an_event_says(fhir: RunningFhirServer, dicom: DicomServer) -> None:
    with dicom_server() as other:
        store(dicom, *EVENTS)
        hostile = [
            replace(EVENTS[0], file_path=f"{other.base_url}/v2"),
            replace(EVENTS[1], sop_instance_uid=f"@{other.base_url.removeprefix('http://')}/v2"),
            replace(EVENTS[2], series_instance_uid=f"//{other.base_url.removeprefix('http://')}/"),
        ]

        async def scenario() -> None:
            async with running_member(fhir.base_url, dicomweb=dicom.dicomweb_url, limits=FAST) as member:
                sent = records(hostile)
                headers = (("ce_source", other.base_url.encode()), ("ce_dataschema", other.base_url.encode()))
                member.source.produce([replace(one, headers=(*one.headers, *headers)) for one in sent])
                await member.committed(3)
                assert sorted(codes(member)) == ["map.uid_invalid", "map.uid_invalid"]
                assert await found(member) == {"1.1.1"}

        asyncio.run(scenario())
        assert other.journal.entries == []
        assert {entry.path for entry in dicom.journal.entries} == {
            "/v2/studies/1.1/series/1.9/instances/1.1.1/metadata"
        }
