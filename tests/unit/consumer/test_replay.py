"""Applying a reset to a group that misbehaves: what the client does not raise must be found."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest
from dicomcast_consumer.group_admin import LogEnds, Member
from dicomcast_consumer.record import Record
from dicomcast_consumer.replay import Replay, apply_offsets
from dicomcast_consumer.replay_search import feed_sequence
from dicomcast_consumer.replay_target import Arrival, Earliest, Latest, Offsets, SequenceFrom, StudyFrom, Target
from dicomcast_runtime.errors import ConfigurationError, DependencyError, FencedError, InputError
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import BEGIN, create, record

MEMBER = Member(member_id="m-1", client_id="worker-7", host="10.0.0.7", partitions=(0, 1))


@dataclass
class FakeGroup:
    """A group whose offsets are what was accepted, and whose answers can be made wrong."""

    topic: str = "t"
    group: str = "g"
    offsets: dict[int, int | None] = field(default_factory=lambda: {0: 5, 1: 5})
    logs: dict[int, LogEnds] = field(default_factory=lambda: {p: LogEnds(begin=0, end=10) for p in (0, 1)})
    alive: tuple[Member, ...] | None = ()
    answers: dict[int, str | None] = field(default_factory=dict)
    writes: bool = True

    def partitions(self) -> tuple[int, ...]:
        return tuple(self.logs)

    def log_ends(self) -> dict[int, LogEnds]:
        return self.logs

    def offsets_at(self, timestamp_ms: int) -> dict[int, int | None]:
        return {0: 3, 1: None} if timestamp_ms == int(BEGIN.timestamp() * 1000) else {}

    def committed(self) -> dict[int, int | None]:
        return dict(self.offsets)

    def members(self) -> tuple[Member, ...] | None:
        return self.alive

    def alter(self, offsets: Mapping[int, int]) -> dict[int, str | None]:
        answers = {partition: self.answers.get(partition) for partition in offsets}
        if self.writes:
            self.offsets.update({p: offset for p, offset in offsets.items() if answers[p] is None})
        return answers


@dataclass
class FakeRecords:
    """A topic's records by partition."""

    records: dict[int, list[Record]] = field(default_factory=dict)

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
        for partition, (start, end) in ranges.items():
            yield from (r for r in self.records.get(partition, []) if start <= r.offset < end)

    def first(self, ranges: Mapping[int, tuple[int, int]], wanted: Callable[[Record], bool]) -> dict[int, Record]:
        found: dict[int, Record] = {}
        for each in self.read(ranges):
            if each.partition not in found and wanted(each):
                found[each.partition] = each
        return found


def no_join(offsets: Mapping[int, int], *, partitions: tuple[int, ...]) -> None:
    raise AssertionError("the group was joined")


def plan(target: Target, records: FakeRecords | None = None) -> dict[int, int | None]:
    replay = Replay(FakeGroup(), records or FakeRecords(), sequence_of=feed_sequence)
    return {each.partition: each.target for each in replay.plan(target, lambda _: None)}


def test_a_reset_is_read_back() -> None:
    group = FakeGroup()
    apply_offsets(group, {0: 1, 1: 2}, join=no_join)
    assert group.offsets == {0: 1, 1: 2}


def test_live_members_are_named_and_nothing_is_altered() -> None:
    group = FakeGroup(alive=(MEMBER,))
    with pytest.raises(ConfigurationError, match=r"worker-7 at 10\.0\.0\.7 with partitions 0, 1"):
        apply_offsets(group, {0: 1}, join=no_join)
    assert group.offsets == {0: 5, 1: 5}


def test_a_refused_partition_is_found_though_the_client_raises_nothing() -> None:
    # The offset happens to be as wanted, so that reading back alone would not find it.
    group = FakeGroup(offsets={0: 1, 1: 5}, answers={0: "COORDINATOR_NOT_AVAILABLE"})
    with pytest.raises(DependencyError, match="COORDINATOR_NOT_AVAILABLE for partition 0"):
        apply_offsets(group, {0: 1, 1: 2}, join=no_join)


def test_members_that_came_after_the_look_are_found() -> None:
    group = FakeGroup(answers={0: "UNKNOWN_MEMBER_ID", 1: "UNKNOWN_MEMBER_ID"})
    with pytest.raises(ConfigurationError, match="live members"):
        apply_offsets(group, {0: 1, 1: 2}, join=no_join)


def test_a_missing_right_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="GROUP_AUTHORIZATION_FAILED"):
        apply_offsets(FakeGroup(answers={0: "GROUP_AUTHORIZATION_FAILED"}), {0: 1}, join=no_join)


def test_accepted_is_not_done() -> None:
    with pytest.raises(FencedError, match="partition 1: asked for 2, the group has 5"):
        apply_offsets(FakeGroup(writes=False, offsets={0: 1, 1: 5}), {0: 1, 1: 2}, join=no_join)


def test_where_groups_cannot_be_described_it_joins_and_reads_back() -> None:
    group = FakeGroup(alive=None, answers={0: "UNKNOWN_MEMBER_ID"})

    def join(offsets: Mapping[int, int], *, partitions: tuple[int, ...]) -> None:
        assert partitions == (0, 1)
        group.offsets.update(offsets)

    apply_offsets(group, {0: 1}, join=join)
    assert group.offsets[0] == 1
    with pytest.raises(FencedError):
        apply_offsets(group, {0: 2}, join=lambda *_, **__: None)


@pytest.mark.parametrize(
    ("target", "offsets"),
    [
        (Earliest(), {0: 0, 1: 0}),
        (Latest(), {0: 10, 1: 10}),
        (Arrival(BEGIN), {0: 3, 1: 10}),
        (Offsets(((1, 4),)), {0: None, 1: 4}),
    ],
)
def test_targets(target: Target, offsets: dict[int, int | None]) -> None:
    assert plan(target) == offsets


def test_by_study_is_the_first_record_of_its_partition() -> None:
    study = "1.2.3"
    partition = partition_for(study.encode(), 2)
    stored = [record(create(n, uid, "1.9"), offset=n, partition=partition) for n, uid in enumerate(["1.2", study] * 3)]
    assert plan(StudyFrom(study), FakeRecords({partition: stored})) == {partition: 1, 1 - partition: None}
    with pytest.raises(InputError, match="no event of the study"):
        plan(StudyFrom("9.9"), FakeRecords({partition: stored}))


def test_by_sequence_of_one_feed() -> None:
    stored = {0: [record(create(n * 2, "1.2", "1.9"), offset=n) for n in range(10)]}
    assert plan(SequenceFrom(7), FakeRecords(stored)) == {0: 4, 1: 10}
    assert plan(SequenceFrom(7, "main"), FakeRecords(stored)) == {0: 4, 1: 10}
    with pytest.raises(ConfigurationError, match="no event of the feed other"):
        plan(SequenceFrom(7, "other"), FakeRecords(stored))


def test_an_unknown_partition_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="no partition 9"):
        plan(Offsets(((9, 1),)))
