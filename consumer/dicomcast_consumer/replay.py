"""Replay by resetting a group's offsets: from a target to a plan, from a plan to offsets that are proven to be there.

    1. live members   refused, by name: they would overwrite the reset with their next commit
    2. alter          through the admin API; each partition's answer is checked, for the client raises nothing
    3. read back      the group's offsets must be what was asked for, partition by partition

A cluster that cannot describe groups (librdkafka's mock cluster) refuses 2; there the offsets are committed by joining
as the only member.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

from dicomcast_runtime.errors import ConfigurationError, DependencyError, FencedError, InputError
from dicomcast_schemas.topic import partition_for

from .group_admin import LogEnds, Member
from .progress import Advance
from .record import Record
from .replay_plan import PartitionOffsets, PlannedPartition, differences, plan_partitions, refusals
from .replay_search import FeedSequence, SequenceSearch
from .replay_target import Arrival, Earliest, Latest, Offsets, SequenceFrom, StudyFrom, Target

__all__ = ["Replay", "apply_offsets"]

_UNKNOWN_MEMBER: Final = "UNKNOWN_MEMBER_ID"
_NOT_AUTHORIZED: Final = ("GROUP_AUTHORIZATION_FAILED", "TOPIC_AUTHORIZATION_FAILED", "CLUSTER_AUTHORIZATION_FAILED")


class Group(Protocol):
    """A consumer group on its topic; `group_admin.GroupAdmin`."""

    topic: str
    group: str

    def partitions(self) -> tuple[int, ...]: ...
    def log_ends(self) -> dict[int, LogEnds]: ...
    def offsets_at(self, timestamp_ms: int) -> dict[int, int | None]: ...
    def committed(self) -> dict[int, int | None]: ...
    def members(self) -> tuple[Member, ...] | None: ...
    def alter(self, offsets: Mapping[int, int]) -> dict[int, str | None]: ...


class Records(Protocol):
    """The topic's records; `topic_reader.TopicReader`."""

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]: ...
    def first(self, ranges: Mapping[int, tuple[int, int]], wanted: Callable[[Record], bool]) -> dict[int, Record]: ...


class Joining(Protocol):
    """Commits as the group's only member; `replay_join.commit_as_only_member`."""

    def __call__(self, offsets: Mapping[int, int], *, partitions: tuple[int, ...]) -> None: ...


class Replay:
    """Makes plans. `sequence_of` reads feed and sequence of a record, None where it has none."""

    def __init__(self, group: Group, records: Records, *, sequence_of: Callable[[Record], FeedSequence | None]) -> None:
        self._group = group
        self._records = records
        self._sequence_of = sequence_of

    def plan(self, target: Target, advance: Advance) -> tuple[PlannedPartition, ...]:
        """What resetting to the target would do. Changes nothing.

        Raises ConfigurationError for a target that names no partition or feed of the topic, InputError when the topic
        has no event of the study.
        """
        ends, committed = self._group.log_ends(), self._group.committed()
        now = [
            PartitionOffsets(partition=p, begin=log.begin, end=log.end, committed=committed.get(p))
            for p, log in ends.items()
        ]
        try:
            return plan_partitions(now, self._targets(target, ends, advance))
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def _targets(self, target: Target, ends: Mapping[int, LogEnds], advance: Advance) -> dict[int, int]:
        match target:
            case Earliest():
                return {partition: log.begin for partition, log in ends.items()}
            case Latest():
                return {partition: log.end for partition, log in ends.items()}
            case Arrival(at):
                found = self._group.offsets_at(int(at.timestamp() * 1000))
                return {p: log.end if (offset := found.get(p)) is None else offset for p, log in ends.items()}
            case Offsets(pairs):
                return dict(pairs)
            case SequenceFrom():
                return self._by_sequence(target, ends, advance)
            case StudyFrom(uid):
                return self._by_study(uid, ends, advance)

    def _by_sequence(self, target: SequenceFrom, ends: Mapping[int, LogEnds], advance: Advance) -> dict[int, int]:
        feeds: set[str] = set()

        def wanted(record: Record) -> bool:
            at = self._sequence_of(record)
            if at is not None:
                feeds.add(at.feed)
            return at is not None and target.feed in (None, at.feed)

        searches = {
            p: SequenceSearch(begin=log.begin, end=log.end, sequence=target.sequence) for p, log in ends.items()
        }
        while probes := {p: probe for p, search in searches.items() if (probe := search.probe()) is not None}:
            found = self._records.first(probes, wanted)
            for partition in probes:
                record = found.get(partition)
                at = self._sequence_of(record) if record is not None else None
                searches[partition].answer(record.offset if record else None, at.sequence if at else None)
            advance(1)
        _check_feed(target, feeds)
        return {partition: search.found for partition, search in searches.items()}

    def _by_study(self, uid: str, ends: Mapping[int, LogEnds], advance: Advance) -> dict[int, int]:
        key = uid.encode()
        partition = partition_for(key, len(ends))

        def wanted(record: Record) -> bool:
            advance(1)
            return record.key == key

        log = ends[partition]
        found = self._records.first({partition: (log.begin, log.end)}, wanted).get(partition)
        if found is None:
            raise InputError(
                f"the topic has no event of the study {uid}: its partition {partition} was read from offset "
                f"{log.begin} to {log.end}. Check the UID; what is older than the topic's retention can be published "
                "again with `dicomcast-producer cursor set`"
            )
        return {partition: found.offset}


def _check_feed(target: SequenceFrom, feeds: set[str]) -> None:
    if target.feed is None and len(feeds) > 1:
        raise ConfigurationError(
            f"the topic has events of the feeds {', '.join(sorted(feeds))}, each with sequences of its own: "
            f"say which, as --to sequence:{min(feeds)}:{target.sequence}"
        )
    if target.feed is not None and feeds and target.feed not in feeds:
        raise ConfigurationError(
            f"the topic has no event of the feed {target.feed}, only of {', '.join(sorted(feeds))}"
        )


def apply_offsets(group: Group, wanted: Mapping[int, int], *, join: Joining) -> None:
    """Returns once the group has these offsets, read back.

    Raises ConfigurationError when it has live members or this client may not, FencedError when the offsets read back
    are others, DependencyError when a partition is refused otherwise.
    """
    members = group.members()
    if members:
        raise _alive(group, members)
    refused = refusals(group.alter(wanted))
    if members is None and set(refused) == {_UNKNOWN_MEMBER}:
        join(wanted, partitions=group.partitions())
    elif refused:
        raise _refused(group, refused)
    different = differences(wanted, group.committed())
    if different:
        raise FencedError(
            f"the offsets of {group.group} are not what they were set to, so someone else writes them: "
            f"{'; '.join(different)}. Stop its members and apply again"
        )


def _alive(group: Group, members: tuple[Member, ...]) -> ConfigurationError:
    named = "; ".join(
        f"{member.client_id} at {member.host} with {_partitions(member.partitions)}" for member in members
    )
    return ConfigurationError(
        f"the group {group.group} has live members: {named}. Stop them first (one that was killed counts as live until "
        "its session has timed out), then apply again"
    )


def _refused(group: Group, refused: Mapping[str, tuple[int, ...]]) -> Exception:
    named = "; ".join(f"{name} for {_partitions(partitions)}" for name, partitions in refused.items())
    if _UNKNOWN_MEMBER in refused:
        return ConfigurationError(
            f"Kafka refused to set offsets of {group.group}: {named}: the group has live members. Stop them first"
        )
    text = f"Kafka refused to set offsets of {group.group}: {named}"
    if set(refused) & set(_NOT_AUTHORIZED):
        return ConfigurationError(
            f"{text}: the user of DICOMCAST_KAFKA__* needs Read on group {group.group} and Read on topic {group.topic}"
        )
    return DependencyError(text)


def _partitions(partitions: tuple[int, ...]) -> str:
    if not partitions:
        return "no partition"
    return f"partition{'s' if len(partitions) > 1 else ''} {', '.join(map(str, partitions))}"
