"""What the overview says of the group, and what of its members."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dicomcast_consumer.group_admin import Member
from dicomcast_consumer.member_state import MemberState
from dicomcast_consumer.metrics import ConsumerMetrics
from dicomcast_consumer.status import GroupStatus, PartitionStatus
from dicomcast_consumer.web.members import MemberView, away, member_view
from dicomcast_consumer.web.overview import Snapshot, breaker_text, in_flight, notices, oldest_s
from dicomcast_runtime.health import Report
from prometheus_client import generate_latest

NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)
MEMBER = Member(member_id="m", client_id="one", host="10.0.0.1", partitions=(0,))


def seen(*, lag: int = 0, waits_s: float | None = None, members: tuple[Member, ...] | None = (MEMBER,)) -> Snapshot:
    each = PartitionStatus(
        partition=0,
        committed=10,
        begin=0,
        end=10 + lag,
        oldest_unfinished_at=None if waits_s is None else NOW - timedelta(seconds=waits_s),
        member="one",
        dead_letters=0,
    )
    status = GroupStatus(topic="t", group="g", dead_letter_topic="t.g.dlq", partitions=(each,), members=members)
    return Snapshot(at=NOW, status=status, pending=0)


def said(snapshot: Snapshot) -> list[tuple[str, str]]:
    return [(each.level, each.title) for each in notices(snapshot, NOW)]


def served(*, ready: dict[str, str | None], breaker: bool = False, in_flight: int = 3) -> MemberView:
    """A member by what its HTTP port really says."""
    metrics = ConsumerMetrics()
    metrics.watch(lambda: MemberState(assigned=(0, 1), studies_in_flight=in_flight, records_waiting=7), lambda: breaker)
    text = generate_latest(metrics.registry).decode()
    return member_view("http://10.0.0.1:9580", metrics=text, ready=str(Report(ready)))


def test_a_group_that_is_well() -> None:
    assert said(seen()) == [("ok", "All is well")]
    assert notices(seen(), NOW)[0].text == "Everything on the topic is in FHIR."
    assert notices(seen(lag=4), NOW)[0].text == "4 records are on their way to FHIR."


def test_before_kafka_has_answered() -> None:
    assert said(Snapshot()) == [("info", "Kafka is being asked")]


def test_kafka_away_says_what_kafka_says_and_keeps_what_was_seen() -> None:
    (first, *_) = notices(replace(seen(), fault="no broker answers"), NOW)
    assert (first.level, first.title) == ("bad", "Kafka cannot be asked")
    assert first.text == "no broker answers. Below is what it said last."


@pytest.mark.parametrize(("lag", "level"), [(0, "warn"), (5, "bad")])
def test_a_group_without_members(lag: int, level: str) -> None:
    assert said(seen(lag=lag, members=()))[0] == (level, "No consumer is running")


def test_members_unknown_is_no_fault() -> None:
    assert said(seen(members=None)) == [("ok", "All is well")]


def test_late_events_and_letters_are_told_worst_first() -> None:
    late = replace(seen(lag=9, waits_s=720.0), pending=2, members=(away("http://a:1", "no answer (ConnectError)"),))
    found = said(replace(late, fault="away"))
    assert [level for level, _ in found] == ["bad", "warn", "warn", "warn"]
    titles = " ".join(title for _, title in found)
    assert "The oldest event has waited 12 minutes" in titles
    assert "2 events were rejected and wait for you" in titles
    assert oldest_s(late, NOW) == 720.0


def test_a_member_by_its_own_words() -> None:
    member = served(ready={"kafka": None, "fhir": None, "partitions": None})
    assert member.ready
    assert (member.studies_in_flight, member.records_waiting, member.partitions_assigned) == (3, 7, 2)
    assert member.breaker_open is False
    assert said(replace(seen(), members=(member,))) == [("ok", "All is well")]


def test_an_open_breaker_is_told_with_its_reason() -> None:
    member = served(ready={"kafka": None, "fhir": "503", "partitions": None}, breaker=True)
    (notice, *_) = notices(replace(seen(), members=(member,)), NOW)
    assert (notice.level, notice.title) == ("bad", "The breaker is open: FHIR is not written to")
    assert "503" in notice.text
    assert not member.ready


@pytest.mark.parametrize("text", ["<html>a login page</html>", "up 1.0\n", "", 'x{y="'])
def test_what_is_no_member_is_said_to_be_none(text: str) -> None:
    member = member_view("http://a:1", metrics=text, ready="")
    assert member.fault is not None
    assert not member.ready


def test_numbers_of_all_members_together() -> None:
    members = (served(ready={}, in_flight=2), served(ready={}, in_flight=5, breaker=True), away("http://a:1", "no"))
    assert in_flight(members) == 7
    assert breaker_text(members) == ("bad", "open in 1 of 2")
    assert breaker_text(members[:1]) == ("ok", "closed")
    assert (in_flight(()), breaker_text(())) == (None, ("info", "unknown"))
