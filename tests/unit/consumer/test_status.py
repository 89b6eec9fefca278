"""Status of a group from what the brokers say."""

from datetime import UTC, datetime

import pytest
from dicomcast_consumer import status_command
from dicomcast_consumer.group_admin import LogEnds, Member
from dicomcast_consumer.status import GroupStatus, as_document, group_status
from dicomcast_consumer.status_read import StatusReader

NOW = datetime(2026, 5, 1, 6, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)


def status(members: tuple[Member, ...] | None = (), letters: dict[int, LogEnds] | None = None) -> GroupStatus:
    return group_status(
        topic="t",
        group="g",
        dead_letter_topic="t.g.dlq",
        log={1: LogEnds(begin=0, end=7), 0: LogEnds(begin=5, end=100), 2: LogEnds(begin=50, end=60)},
        committed={0: 90, 1: None, 2: 10},
        oldest_ms={0: NOW_MS - 90_500, 1: NOW_MS + 3_000, 2: -1},
        members=members,
        letters={} if letters is None else letters,
    )


def test_lag_and_age() -> None:
    first, second, third = status().partitions
    assert (first.partition, first.lag, first.age_s(NOW)) == (0, 10, 90.5)
    # No offset: everything is before it. A record of a clock that is ahead has not waited less than nothing.
    assert (second.lag, second.age_s(NOW)) == (7, 0.0)
    # An offset that retention has passed: what is gone is no lag. A record without timestamp has no age.
    assert (third.lag, third.age_s(NOW)) == (10, None)
    assert status().lag == 27


def test_members_own_partitions() -> None:
    found = status((Member(member_id="m", client_id="worker", host="h", partitions=(0, 2)),))
    assert [each.member for each in found.partitions] == ["worker", None, "worker"]
    assert status(None).members is None


def test_dead_letters() -> None:
    assert status().dead_letters is None
    found = status(letters={0: LogEnds(begin=2, end=5), 1: LogEnds(begin=0, end=0)})
    assert [each.dead_letters for each in found.partitions] == [3, 0, None]
    assert found.dead_letters == 3


def test_letters_are_said_to_be_written_for_those_that_are_done_count_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = status(letters={0: LogEnds(begin=2, end=5)})
    monkeypatch.setattr(StatusReader, "read", lambda _: found)
    monkeypatch.setenv("DICOMCAST_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")
    status_command.status()
    head, columns, *_ = capsys.readouterr().out.splitlines()
    assert head.endswith("dead letters written: 3 (`dlq list` says which are pending)")
    assert columns.endswith("letters written")


def test_document() -> None:
    document = as_document(status(None), NOW)
    assert document["members"] is None
    assert document["oldest_unfinished_age_s"] == 90.5
    assert document["partitions"][0] == {  # type: ignore[index]
        "partition": 0,
        "committed": 90,
        "begin": 5,
        "end": 100,
        "lag": 10,
        "oldest_unfinished_at": "2026-05-01T05:58:29.500+00:00",
        "oldest_unfinished_age_s": 90.5,
        "member": None,
        "dead_letters": None,
    }
