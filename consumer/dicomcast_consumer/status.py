"""How far a consumer group is: per partition offsets, lag, age of the oldest unfinished record, dead letters. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from .group_admin import LogEnds, Member

__all__ = ["GroupStatus", "PartitionStatus", "as_document", "group_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionStatus:
    """One partition. `committed`: where the group reads on; everything before is in FHIR or a dead letter."""

    partition: int
    committed: int | None
    begin: int
    end: int
    oldest_unfinished_at: datetime | None
    """Record timestamp of the first record at or after `committed`; None when there is none."""
    member: str | None
    dead_letters: int | None
    """Letters on the topic, done or not; None where it has no such partition."""

    @property
    def lag(self) -> int:
        """Offsets between where the group reads on and the end; where it has no offset, from the begin."""
        start = self.begin if self.committed is None else max(self.committed, self.begin)
        return max(0, self.end - start)

    def age_s(self, now: datetime) -> float | None:
        """Seconds that the oldest unfinished record has waited."""
        if self.oldest_unfinished_at is None:
            return None
        return max(0.0, (now - self.oldest_unfinished_at).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupStatus:
    """The whole group. `members` is None where the cluster cannot tell."""

    topic: str
    group: str
    dead_letter_topic: str
    partitions: tuple[PartitionStatus, ...]
    members: tuple[Member, ...] | None

    @property
    def lag(self) -> int:
        """Of all partitions."""
        return sum(each.lag for each in self.partitions)

    @property
    def dead_letters(self) -> int | None:
        """Of all partitions; None without a dead-letter topic."""
        known = [each.dead_letters for each in self.partitions if each.dead_letters is not None]
        return sum(known) if known else None


def group_status(
    *,
    topic: str,
    group: str,
    dead_letter_topic: str,
    log: Mapping[int, LogEnds],
    committed: Mapping[int, int | None],
    oldest_ms: Mapping[int, int],
    members: Iterable[Member] | None,
    letters: Mapping[int, LogEnds],
) -> GroupStatus:
    """Puts together what was read; `oldest_ms` has the timestamps of first unfinished records."""
    known = None if members is None else tuple(members)
    owners = {partition: member.client_id for member in known or () for partition in member.partitions}
    return GroupStatus(
        topic=topic,
        group=group,
        dead_letter_topic=dead_letter_topic,
        members=known,
        partitions=tuple(
            PartitionStatus(
                partition=partition,
                committed=committed.get(partition),
                begin=ends.begin,
                end=ends.end,
                oldest_unfinished_at=_time(oldest_ms.get(partition)),
                member=owners.get(partition),
                dead_letters=letters[partition].end - letters[partition].begin if partition in letters else None,
            )
            for partition, ends in sorted(log.items())
        ),
    )


def as_document(status: GroupStatus, now: datetime) -> dict[str, object]:
    """The JSON document of `status --json`: names are an API."""
    ages = [age for each in status.partitions if (age := each.age_s(now)) is not None]
    return {
        "topic": status.topic,
        "group": status.group,
        "dead_letter_topic": status.dead_letter_topic,
        "lag": status.lag,
        "oldest_unfinished_age_s": round(max(ages), 3) if ages else None,
        "dead_letters": status.dead_letters,
        "members": None if status.members is None else [_member(each) for each in status.members],
        "partitions": [_partition(each, now) for each in status.partitions],
    }


def _member(member: Member) -> dict[str, object]:
    return {
        "member_id": member.member_id,
        "client_id": member.client_id,
        "host": member.host,
        "partitions": list(member.partitions),
    }


def _partition(each: PartitionStatus, now: datetime) -> dict[str, object]:
    age_s = each.age_s(now)
    at = each.oldest_unfinished_at
    return {
        "partition": each.partition,
        "committed": each.committed,
        "begin": each.begin,
        "end": each.end,
        "lag": each.lag,
        "oldest_unfinished_at": at.isoformat(timespec="milliseconds") if at else None,
        "oldest_unfinished_age_s": None if age_s is None else round(age_s, 3),
        "member": each.member,
        "dead_letters": each.dead_letters,
    }


def _time(timestamp_ms: int | None) -> datetime | None:
    return None if timestamp_ms is None or timestamp_ms < 0 else datetime.fromtimestamp(timestamp_ms / 1000, UTC)
