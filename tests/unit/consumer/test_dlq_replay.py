"""The loop of `dlq replay` beside a member that is at work: what is superseded, what appears meanwhile, what fails."""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest
from dicomcast_consumer.dlq_done import Outcome
from dicomcast_consumer.dlq_replay import Tally
from dicomcast_consumer.mapping import MappingOptions
from dicomcast_consumer.mapping_options import FilterOptions
from dicomcast_schemas import DicomChangeEvent
from dicomcast_schemas.topic import DEFAULT_TOPIC

from tests.fakes.events import create, delete, record, update
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.letter_replay import FakeTopic, replayed, replaying
from tests.fakes.member import running_member

PLACEHOLDER = MappingOptions(missing_patient_id="placeholder")


def instances(fhir: RunningFhirServer) -> list[str]:
    """SOP Instance UIDs that FHIR has."""
    page = httpx.get(f"{fhir.base_url}/ImagingStudy", params={"_count": "100"}).json()
    studies = [entry["resource"] for entry in page.get("entry", [])]
    return sorted(i["uid"] for study in studies for series in study.get("series", []) for i in series["instance"])


def applied(fhir: RunningFhirServer, *events: DicomChangeEvent) -> None:
    """What a member does with events that come in now."""

    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await member.committed(len(events))

    asyncio.run(scenario())


def run(topic: FakeTopic, fhir: RunningFhirServer, **how: object) -> Tally:
    return asyncio.run(replayed(topic, fhir.base_url, **how))  # type: ignore[arg-type]


def outcomes(topic: FakeTopic) -> dict[int, str]:
    return {id.offset: outcome.value for id, outcome in topic.done.items()}


def rejected(*events: DicomChangeEvent, letters: tuple[int, ...] = (0,)) -> FakeTopic:
    """A topic with events, and letters of those at these offsets."""
    topic = FakeTopic()
    topic.publish(*events)
    for offset in letters:
        topic.reject(offset)
    return topic


def meanwhile(topic: FakeTopic, fhir: RunningFhirServer, event: DicomChangeEvent, *, look: int) -> None:
    """Before that look, the event comes and a member applies it."""

    def at_look(number: int) -> None:
        if number == look:
            topic.publish(event)
            member(fhir, event)

    topic.at_look = at_look


def member(fhir: RunningFhirServer, event: DicomChangeEvent) -> None:
    """In a thread of its own: the caller's is in an event loop."""
    thread = threading.Thread(target=applied, args=(fhir, event))
    thread.start()
    thread.join()


def test_a_letter_whose_cause_was_mended_is_applied_and_done(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1", patient_id=None))
    tally = run(topic, fhir, options=PLACEHOLDER)
    assert (instances(fhir), outcomes(topic), tally.done[Outcome.APPLIED]) == (["1.1.1"], {0: "applied"}, 1)
    assert topic.back == []


def test_what_is_rejected_again_goes_back_with_one_more_attempt_and_is_not_done(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1", patient_id=None), create(2, "1.1", "1.1.2"), letters=(0, 1))
    tally = run(topic, fhir)
    assert (tally.rejected, outcomes(topic)) == (1, {1: "applied"})
    ((back, error),) = topic.back
    assert error.code == "map.patient_id_missing"
    assert dict(back.headers)["dlq.attempts"] == b"1"
    assert (back.topic, back.partition, back.offset) == (DEFAULT_TOPIC, 0, 0)


def test_many_letters_that_fail_again_do_not_stop_the_replay(fhir: RunningFhirServer) -> None:
    """`run` would take this for a wrong setting and wait."""
    topic = rejected(
        *(create(n, f"1.{n}", f"1.{n}.1", patient_id=None) for n in range(1, 13)), letters=tuple(range(12))
    )
    assert run(topic, fhir).rejected == 12


def test_a_later_event_of_the_instance_supersedes_the_letter(fhir: RunningFhirServer) -> None:
    """Bug put back: apply a letter without looking at what came after it."""
    topic = rejected(create(1, "1.1", "1.1.1"), create(2, "1.1", "1.1.2"), delete(3, "1.1", "1.1.1"))
    applied(fhir, create(2, "1.1", "1.1.2"), delete(3, "1.1", "1.1.1"))
    fhir.journal.clear()
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic), fhir.journal.writes()) == (["1.1.2"], {0: "superseded"}, [])


IN_ANOTHER_PARTITION = replace(create(2, "1.1", "1.1.1"), partition_name="ignored")
FILTERED_OUT = update(2, "1.1", "1.1.1", patient_id="TEST-1")


@pytest.mark.parametrize("later", [IN_ANOTHER_PARTITION, FILTERED_OUT], ids=["another data partition", "filtered out"])
def test_a_later_event_that_has_no_effect_supersedes_nothing(fhir: RunningFhirServer, later: DicomChangeEvent) -> None:
    """Bug put back: the letter is done as superseded, and its instance is in no FHIR server and no letter."""
    topic = rejected(create(1, "1.1", "1.1.1"), later)
    run(topic, fhir, options=MappingOptions(exclude=FilterOptions(patient_id="TEST-.*")))
    assert (instances(fhir), outcomes(topic), topic.back) == (["1.1.1"], {0: "applied"}, [])


def test_behind_an_event_without_effect_stands_the_one_that_supersedes(fhir: RunningFhirServer) -> None:
    later = replace(IN_ANOTHER_PARTITION, sequence=3)
    topic = rejected(create(1, "1.1", "1.1.1"), delete(2, "1.1", "1.1.1"), later)
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic)) == ([], {0: "superseded"})


def test_a_letter_older_than_the_topic_with_none_but_an_event_without_effect_is_what_the_dicom_server_says(
    fhir: RunningFhirServer,
) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), IN_ANOTHER_PARTITION)
    topic.expire(1)
    topic.said_by_dicom = Outcome.GONE
    run(topic, fhir)
    assert (topic.asked, outcomes(topic), instances(fhir)) == (1, {0: "gone"}, [])


def test_a_later_event_that_is_a_pending_letter_too_supersedes_nothing(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), update(2, "1.1", "1.1.1", patient_id=None), letters=(0, 1))
    run(topic, fhir, only=[0])
    assert (instances(fhir), outcomes(topic)) == (["1.1.1"], {0: "applied"})
    run(topic, fhir, options=PLACEHOLDER)
    assert outcomes(topic) == {0: "applied", 1: "applied"}


def test_letters_of_one_instance_in_one_replay_end_as_their_newest(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), create(2, "1.1", "1.1.2"), delete(3, "1.1", "1.1.1"), letters=(0, 1, 2))
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic)) == (["1.1.2"], {0: "applied", 1: "applied", 2: "applied"})


def test_a_newer_letter_that_fails_again_leaves_the_older_one_in_fhir(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), update(2, "1.1", "1.1.1", patient_id=None), letters=(0, 1))
    tally = run(topic, fhir)
    assert (instances(fhir), outcomes(topic), tally.rejected) == (["1.1.1"], {0: "applied"}, 1)


@pytest.mark.parametrize("look", [2, 3], ids=["between read and write", "after the write"])
def test_a_delete_that_appears_meanwhile_has_the_last_word(fhir: RunningFhirServer, look: int) -> None:
    """Bugs put back: no look before the write; none after it."""
    topic = rejected(create(1, "1.1", "1.1.1"))
    meanwhile(topic, fhir, delete(2, "1.1", "1.1.1"), look=look)
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic)) == ([], {0: "superseded"})


def test_an_event_that_overtakes_one_letter_does_not_hold_up_the_others(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), create(2, "1.2", "1.2.1"), letters=(0, 1))
    meanwhile(topic, fhir, delete(3, "1.1", "1.1.1"), look=2)
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic)) == (["1.2.1"], {0: "superseded", 1: "applied"})


def test_between_read_and_write_nothing_of_an_overtaken_letter_is_written(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"))
    meanwhile(topic, fhir, delete(2, "1.1", "1.1.1"), look=2)
    run(topic, fhir)
    assert fhir.journal.writes() == []


def test_a_replay_that_died_after_its_write_is_mended_by_the_next(fhir: RunningFhirServer) -> None:
    """Bug put back: believe that a later event which is on the topic is in FHIR."""
    topic = rejected(create(1, "1.1", "1.1.1"))

    def die(number: int) -> None:
        if number == 3:
            raise SystemError("killed")

    topic.at_look = die
    with pytest.raises(SystemError):
        run(topic, fhir)
    assert instances(fhir) == ["1.1.1"]
    topic.publish(delete(2, "1.1", "1.1.1"))  # a member had found nothing to delete before that write
    topic.at_look = lambda _: None
    run(topic, fhir)
    assert (instances(fhir), outcomes(topic)) == ([], {0: "superseded"})


def test_values_of_an_older_letter_do_not_turn_newer_ones_back(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1", description="OLD"), create(2, "1.1", "1.1.2", description="NEW"))
    applied(fhir, create(2, "1.1", "1.1.2", description="NEW"))
    run(topic, fhir)
    (entry,) = httpx.get(f"{fhir.base_url}/ImagingStudy").json()["entry"]
    assert (entry["resource"]["description"], instances(fhir)) == ("NEW", ["1.1.1", "1.1.2"])


def test_a_later_event_that_these_settings_reject_leaves_the_letter_pending(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), update(2, "1.1", "1.1.1", patient_id=None))
    tally = run(topic, fhir)
    assert (tally.blocked, topic.done, topic.back, instances(fhir)) == (1, {}, [], [])


@pytest.mark.parametrize(
    ("event", "said", "outcome", "left"),
    [
        (create(1, "1.1", "1.1.1"), None, "applied", ["1.1.1", "1.1.9"]),
        (create(1, "1.1", "1.1.1"), Outcome.GONE, "gone", ["1.1.9"]),
        (delete(1, "1.1", "1.1.9"), Outcome.SUPERSEDED, "superseded", ["1.1.9"]),
        (delete(1, "1.1", "1.1.9"), None, "applied", []),
    ],
)
def test_a_letter_older_than_the_topic_is_what_the_dicom_server_says(
    fhir: RunningFhirServer, event: DicomChangeEvent, said: Outcome | None, outcome: str, left: list[str]
) -> None:
    topic = rejected(event, create(2, "1.2", "1.2.1"))
    topic.expire(1)
    topic.said_by_dicom = said
    applied(fhir, create(9, "1.1", "1.1.9"))
    run(topic, fhir)
    assert (topic.asked, outcomes(topic), instances(fhir)) == (1, {0: outcome}, left)


def test_a_topic_made_anew_is_not_taken_for_the_letters_own(fhir: RunningFhirServer) -> None:
    """Another event stands at the letter's place: what is known of later ones is only what the sequences say."""
    topic = rejected(create(5, "1.1", "1.1.1"))
    topic.records = []
    topic.publish(create(7, "1.9", "1.9.1"), update(4, "1.1", "1.1.1"))
    run(topic, fhir)
    assert (topic.asked, outcomes(topic)) == (1, {0: "applied"})
    topic = rejected(create(5, "1.1", "1.1.2"))
    topic.records = []
    topic.publish(create(7, "1.9", "1.9.1"), delete(8, "1.1", "1.1.2"))
    run(topic, fhir)
    assert (topic.asked, outcomes(topic)) == (0, {0: "superseded"})


def test_a_server_that_is_away_leaves_the_rest_pending(fhir: RunningFhirServer) -> None:
    topic = rejected(*(create(n, f"1.{n}", f"1.{n}.1") for n in range(1, 5)), letters=(0, 1, 2, 3))
    fhir.faults.answer(503, times=None)
    tally = run(topic, fhir, wait_s=0.3, a_chunk_each=True)
    assert (tally.left, topic.done, topic.back) == (4, {}, [])


def test_one_poisonous_letter_does_not_hold_up_the_rest(fhir: RunningFhirServer) -> None:
    topic = rejected(*(create(n, f"1.{n}", f"1.{n}.1") for n in range(1, 4)), letters=(0, 1, 2))
    fhir.faults.answer(500, times=None, when=lambda seen: b"1.1.1" in seen.body)
    tally = run(topic, fhir, wait_s=5.0, a_chunk_each=True)
    assert (tally.left, outcomes(topic)) == (1, {1: "applied", 2: "applied"})


def stopped(topic: FakeTopic, fhir: RunningFhirServer, when: Callable[[], bool]) -> Tally:
    """Stops the replay once the condition holds."""

    async def scenario() -> Tally:
        async with replaying(topic, fhir.base_url) as (replay, applier):
            task = asyncio.ensure_future(replay.run(applier, topic.chunks(a_chunk_each=True), wait_s=60))
            while not when():
                await asyncio.sleep(0.01)
            replay.stop()
            return await asyncio.wait_for(task, 30)

    return asyncio.run(scenario())


def test_an_interrupt_ends_at_once_while_nothing_is_written(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), create(2, "1.2", "1.2.1"), letters=(0, 1))
    fhir.faults.answer(503, times=None)
    tally = stopped(topic, fhir, lambda: bool(fhir.journal.entries))
    assert (tally.interrupted, tally.left, topic.done) == (True, 2, {})


def test_an_interrupt_during_a_write_finishes_these_letters_and_no_more(fhir: RunningFhirServer) -> None:
    topic = rejected(create(1, "1.1", "1.1.1"), create(2, "1.2", "1.2.1"), letters=(0, 1))
    fhir.faults.hang(times=1, when=lambda seen: b'"transaction"' in seen.body)

    def writing() -> bool:
        if fhir.faults.hanging() == 0:
            return False
        asyncio.get_running_loop().call_later(0.2, fhir.faults.clear)
        return True

    tally = stopped(topic, fhir, writing)
    assert (tally.interrupted, tally.left, outcomes(topic), instances(fhir)) == (True, 1, {0: "applied"}, ["1.1.1"])
