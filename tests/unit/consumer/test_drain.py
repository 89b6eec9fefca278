"""SIGTERM: what is under way ends within the grace, or is cut off; the process always ends."""

import asyncio
import threading

from dicomcast_consumer.worker import Limits

from tests.fakes.events import create, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member

SHORT = Limits(commit_every_s=0.02, drain_s=0.2)
LONG = Limits(commit_every_s=0.02, drain_s=3_600)


async def ended(member: Member) -> None:
    await asyncio.wait_for(asyncio.shield(member.task), 30)


def hang_at_the_write(fhir: RunningFhirServer) -> None:
    fhir.faults.hang(times=None, when=lambda seen: b'"transaction"' in seen.body)


async def writing(member: Member) -> None:
    member.source.produce([record(create(1, "1.1", "1.1.1"), offset=0)])
    await eventually(lambda: member.worker.writing, member.task)


def test_a_write_under_way_ends_and_is_committed(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        answer = threading.Event()
        async with running_member(fhir.base_url, limits=LONG) as member:
            fhir.faults.drop(when=lambda seen: b'"transaction"' in seen.body and not answer.wait(20))
            await writing(member)
            member.worker.stop()
            await asyncio.sleep(0.1)
            assert not member.task.done()
            answer.set()
            await ended(member)
            assert member.source.committed == {0: 1}
            assert len(await member.studies()) == 1

    asyncio.run(scenario())


def test_a_write_that_is_never_answered_is_cut_off_after_the_grace(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=SHORT) as member:
            hang_at_the_write(fhir)
            await writing(member)
            member.worker.stop()
            await ended(member)
            assert member.source.committed.get(0, 0) == 0

    asyncio.run(scenario())


def test_a_second_signal_cuts_off_at_once(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=LONG) as member:
            hang_at_the_write(fhir)
            await writing(member)
            member.worker.stop()
            await asyncio.sleep(0.1)
            assert not member.task.done()
            member.worker.stop()
            await ended(member)
            assert member.source.committed.get(0, 0) == 0

    asyncio.run(scenario())


def test_a_dead_letter_that_is_always_refused_keeps_nobody_from_ending(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=SHORT) as member:
            member.source.letter_errors = ["TOPIC_AUTHORIZATION_FAILED"] * 10_000
            member.source.produce([record(create(1, "1.1", "1.1.1", patient_id=None), offset=0)])
            await eventually(lambda: len(member.source.letter_errors) < 9_999, member.task)
            member.worker.stop()
            await ended(member)
            assert member.source.committed.get(0, 0) == 0
            assert member.source.letters == []

    asyncio.run(scenario())


def test_what_waits_for_an_outage_to_end_is_let_go_at_once(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=LONG) as member:
            fhir.faults.answer(503, times=None)
            events = [create(n, f"1.{n}", f"1.{n}.1") for n in range(1, 9)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await eventually(lambda: len(fhir.journal.entries) > 10, member.task)
            member.worker.stop()
            await ended(member)
            assert member.source.letters == []

    asyncio.run(scenario())
