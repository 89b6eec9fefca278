"""Studies that FHIR refuses, among others that it takes: the good ones are in FHIR, the bad ones are letters, whatever
their order. Bugs put back: who is held keeps its place, or is tried before who was not refused; of a bundle that was
accepted one study counts.
"""

import asyncio
import random
from collections.abc import Collection, Iterator

import pytest
from dicomcast_consumer.worker import Limits

from tests.fakes.events import create, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member

ONE_BY_ONE = Limits(commit_every_s=0.02, max_runs=1)
TOGETHER = Limits(commit_every_s=0.02, max_runs=25)


def refuse(fhir: RunningFhirServer, bad: Collection[int]) -> None:
    """Every transaction that holds one of these studies."""
    texts = [f'urn:oid:1.{n}"'.encode() for n in bad]
    fhir.faults.answer(
        422, times=None, when=lambda seen: b'"transaction"' in seen.body and any(text in seen.body for text in texts)
    )


def produce(member: Member, studies: int) -> None:
    """An event of each of so many studies, which have the numbers from 1."""
    events = [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, studies + 1)]
    member.source.produce([record(event, offset=n) for n, event in enumerate(events)])


def scattered() -> Iterator[int]:
    draw = random.Random(4)
    return (n for n in range(1, 201) if draw.random() < 0.4)


@pytest.mark.parametrize(
    ("bad", "studies", "limits"),
    [
        ([bundle * 25 + n for bundle in range(4) for n in (1, 2)], 100, TOGETHER),
        (range(1, 9), 100, TOGETHER),
        (range(1, 10), 59, ONE_BY_ONE),
        (list(scattered()), 200, TOGETHER),
    ],
    ids=["two in front of each bundle", "all in one bundle", "all before the good ones", "two of five"],
)
def test_what_is_refused_holds_nothing_up_that_is_accepted(
    fhir: RunningFhirServer, bad: Collection[int], studies: int, limits: Limits
) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=limits) as member:
            refuse(fhir, bad)
            produce(member, studies)
            await member.committed(studies)
            assert len(await member.studies()) == studies - len(bad)
            assert sorted(letter.record.offset + 1 for letter in member.source.letters) == sorted(bad)

    asyncio.run(scenario())


def test_a_server_that_refuses_every_bundle_fills_no_dead_letter_topic(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=TOGETHER) as member:
            refuse(fhir, range(1, 151))
            produce(member, 150)
            await eventually(lambda: len(fhir.journal.writes()) > 40, member.task)
            assert (member.source.letters, member.source.committed.get(0, 0)) == ([], 0)
            fhir.faults.clear()
            await member.committed(150)
            letters = len(member.source.letters)
            assert (len(await member.studies()), letters < 5) == (150 - letters, True)

    asyncio.run(scenario())


def test_a_server_that_refuses_what_it_refused_before_fills_no_dead_letter_topic(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=ONE_BY_ONE) as member:
            refuse(fhir, range(1, 13))
            produce(member, 12)
            await eventually(lambda: len(fhir.journal.writes()) > 40, member.task)
            assert len(member.source.letters) < 5

    asyncio.run(scenario())


def test_who_waits_because_most_are_refused_lets_the_partition_go(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=ONE_BY_ONE) as member:
            refuse(fhir, range(1, 10))
            produce(member, 9)
            await eventually(lambda: len(fhir.journal.writes()) > 20, member.task)
            await asyncio.wait_for(member.source.revoke(0), 5)
            assert member.source.committed.get(0, 0) < 5

    asyncio.run(scenario())


def test_in_strict_order_a_held_study_holds_its_partition_and_no_other(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        limits = Limits(commit_every_s=0.02, max_in_flight=1)
        async with running_member(fhir.base_url, limits=limits, partitions=2) as member:
            refuse(fhir, range(1, 8))
            produce(member, 8)
            await eventually(lambda: len(fhir.journal.writes()) > 20, member.task)
            assert await member.studies() == []
            member.source.produce([record(create(9, "1.9", "1.9.1"), offset=0, partition=1)])
            await member.committed(1, partition=1)  # and with that, most are not refused any more
            await member.committed(8)
            assert len(member.source.letters) == 7

    asyncio.run(scenario())
