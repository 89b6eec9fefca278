"""Faults that are not what they look like: every study refused, one study that never goes through, a defect of ours."""

import asyncio
from typing import Any

import pytest
from dicomcast_consumer import apply
from dicomcast_consumer.mapping import MappingOptions
from dicomcast_consumer.worker import Limits
from dicomcast_schemas.topic import DeadLetterHeader, text_headers

from tests.fakes.events import create, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import Member, eventually, running_member

ONE_BY_ONE = Limits(commit_every_s=0.02, max_runs=1)


def codes(member: Member) -> list[str]:
    return [text_headers(letter.headers)[DeadLetterHeader.ERROR_CODE] for letter in member.source.letters]


def test_a_server_that_refuses_every_study_does_not_flush_the_topic(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=ONE_BY_ONE) as member:
            fhir.faults.answer(422, times=None, when=lambda seen: b'"transaction"' in seen.body)
            events = [create(n, f"1.{n}", f"1.{n}.1", patient_id=f"P{n}") for n in range(1, 41)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await eventually(lambda: len(fhir.journal.writes()) > 30, member.task)
            before = len(codes(member))
            assert before < 10
            fhir.faults.clear()
            await member.committed(40)
            assert len(await member.studies()) == 40 - before

    asyncio.run(scenario())


def test_one_event_that_always_fails_is_found_while_others_go_through(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=ONE_BY_ONE, stuck_after_s=0.3) as member:
            fhir.faults.answer(500, times=None, when=lambda seen: b'"1.1.2"' in seen.body)
            bad = [create(n, "1.1", f"1.1.{n}") for n in (1, 2, 3)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(bad)])
            offset = 3
            while not member.source.letters:
                event = create(10 + offset, f"1.{10 + offset}", f"1.{10 + offset}.1", patient_id=f"P{offset}")
                member.source.produce([record(event, offset=offset)])
                offset += 1
                await asyncio.sleep(0.1)
                assert offset < 300
            await member.committed(offset)
            assert codes(member) == ["fhir.unavailable"]
            found = {i["uid"] for s in await member.studies() for r in s["series"] for i in r["instance"]}
            assert {"1.1.1", "1.1.3"} <= found

    asyncio.run(scenario())


def test_an_outage_is_never_taken_for_one_bad_event(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url, limits=ONE_BY_ONE, stuck_after_s=0.1) as member:
            fhir.faults.answer(500, times=None)
            events = [create(n, f"1.{n}", f"1.{n}.1") for n in range(1, 5)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await asyncio.sleep(1.5)
            assert codes(member) == []
            fhir.faults.clear()
            await member.committed(4)

    asyncio.run(scenario())


def test_a_defect_of_ours_costs_the_one_event_that_meets_it(
    fhir: RunningFhirServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_studies = apply.plan_studies

    def defective(works: Any, state: Any, *, options: Any) -> Any:
        if any(change.sop_instance_uid == "1.1.2" for work in works for change in work.changes):
            raise KeyError("a patient's name")
        return plan_studies(works, state, options=options)

    monkeypatch.setattr(apply, "plan_studies", defective)

    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            events = [create(n, "1.1", f"1.1.{n}") for n in (1, 2, 3)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await member.committed(3)
            assert codes(member) == ["map.defect"]
            text = text_headers(member.source.letters[0].headers)[DeadLetterHeader.ERROR_MESSAGE]
            assert "KeyError" in text
            assert "name" not in text

    asyncio.run(scenario())


def test_a_refused_letter_holds_its_partition_and_no_other(fhir: RunningFhirServer) -> None:
    """Bugs put back: a stuck letter keeps its place among the requests in flight; its partition is picked on."""

    async def scenario() -> None:
        limits = Limits(max_in_flight=1, commit_every_s=0.02)
        async with running_member(fhir.base_url, limits=limits, partitions=2) as member:
            member.source.letter_errors = ["UNKNOWN_TOPIC_OR_PART"] * 100_000
            member.source.produce([record(create(1, "1.1", "1.1.1", patient_id=None), offset=0)])
            await eventually(lambda: len(member.source.letter_errors) < 99_999, member.task)
            member.source.produce(
                [
                    record(create(2, "1.2", "1.2.1"), offset=1),
                    record(create(3, "1.3", "1.3.1"), offset=0, partition=1),
                ]
            )
            await member.committed(1, partition=1)
            member.source.produce([record(create(4, "1.3", "1.3.2"), offset=1, partition=1)])
            await member.committed(2, partition=1)  # partitions take turns: partition 0 would have had its own
            assert [s["identifier"][0]["value"] for s in await member.studies()] == ["urn:oid:1.3"]
            assert member.source.committed.get(0, 0) == 0
            member.source.letter_errors = []
            await member.committed(2)
            assert len(member.source.letters) == 1

    asyncio.run(scenario())


def test_a_member_whose_letter_is_refused_drains(fhir: RunningFhirServer) -> None:
    """Bug put back: the whole wait for the dead-letter topic counts as a write that must not be cut off."""

    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.letter_errors = ["MSG_SIZE_TOO_LARGE"] * 100_000
            member.source.produce([record(create(1, "1.1", "1.1.1", patient_id=None), offset=0)])
            await eventually(lambda: len(member.source.letter_errors) < 99_999, member.task)
        assert member.source.letters == []
        assert member.source.committed.get(0, 0) == 0

    asyncio.run(scenario())


def test_a_study_too_large_for_the_server_becomes_dead_letters_and_fits_without_its_list(
    fhir: RunningFhirServer,
) -> None:
    fhir.faults.answer(413, times=None, when=lambda seen: seen.method == "POST" and len(seen.body) > 12_000)
    events = [create(n, "1.1", f"1.1.{n}") for n in range(1, 101)]

    async def scenario(options: MappingOptions) -> tuple[int, set[str]]:
        async with running_member(fhir.base_url, options=options) as member:
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await member.committed(100)
            (study,) = await member.studies()
            return study["numberOfInstances"], set(codes(member))

    count, found = asyncio.run(scenario(MappingOptions()))
    assert found == {"fhir.413"}
    assert 10 < count < 100
    assert asyncio.run(scenario(MappingOptions(instances="none"))) == (100, set())
