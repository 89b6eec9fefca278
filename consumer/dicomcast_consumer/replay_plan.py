"""What resetting a group's offsets would do, and whether it was done. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from .counted import counted

__all__ = [
    "PartitionOffsets",
    "PlannedPartition",
    "beyond",
    "differences",
    "plan_partitions",
    "refusals",
    "to_csv",
    "warnings",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionOffsets:
    """A partition as it is: its log is [begin, end), the group would read on at `committed` (None: has no offset)."""

    partition: int
    begin: int
    end: int
    committed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPartition:
    """A partition as it would be. `target` None: it stays as it is."""

    now: PartitionOffsets
    target: int | None
    asked: int | None = None
    """What was asked for, where that lies outside the log."""

    @property
    def partition(self) -> int:
        """Its number."""
        return self.now.partition

    @property
    def redo(self) -> int:
        """Offsets that the group would read again: records at most, as transaction markers occupy offsets too."""
        if self.target is None or self.now.committed is None:
            return 0
        return max(0, min(self.now.committed, self.now.end) - self.target)

    @property
    def skip(self) -> int:
        """Offsets that the group has not read and would pass over."""
        if self.target is None:
            return 0
        reached = self.now.begin if self.now.committed is None else max(self.now.committed, self.now.begin)
        return max(0, self.target - reached)


def plan_partitions(now: Iterable[PartitionOffsets], targets: Mapping[int, int]) -> tuple[PlannedPartition, ...]:
    """The plan: a target outside the log is moved to its nearer end, a partition without target stays.

    Raises ValueError for a target of a partition that does not exist.
    """
    ordered = sorted(now, key=lambda each: each.partition)
    unknown = sorted(set(targets) - {each.partition for each in ordered})
    if unknown:
        raise ValueError(f"the topic has {len(ordered)} partitions, from 0; there is no partition {unknown[0]}")
    return tuple(_planned(each, targets.get(each.partition)) for each in ordered)


def _planned(now: PartitionOffsets, asked: int | None) -> PlannedPartition:
    if asked is None:
        return PlannedPartition(now=now, target=None)
    target = min(max(asked, now.begin), now.end)
    return PlannedPartition(now=now, target=target, asked=None if target == asked else asked)


def warnings(plan: Iterable[PlannedPartition]) -> list[str]:
    """What a person should know before applying the plan."""
    return [text for each in plan for text in _warnings(each)]


def beyond(plan: Sequence[PlannedPartition], sought: str) -> list[str]:
    """A warning where no record was found from `sought` on, in whatever partition: it stands for the end."""
    if any(each.target != each.now.end for each in plan):
        return []
    return [f"the topic has no record from {sought} on: begins at the end, as with `--to latest`"]


def _warnings(each: PlannedPartition) -> list[str]:
    found: list[str] = []
    begin, end, committed = each.now.begin, each.now.end, each.now.committed
    if each.asked is not None and each.asked < begin:
        found.append(
            f"partition {each.partition}: offset {each.asked} is not in the log any more (retention): begins at {begin}"
        )
    elif each.asked is not None:
        found.append(f"partition {each.partition}: offset {each.asked} is beyond the end of the log: begins at {end}")
    if each.skip:
        skipped, are = counted(each.skip, "offset"), "is" if each.skip == 1 else "are"
        found.append(f"partition {each.partition}: {skipped} that the group has not read {are} passed over")
    if committed is not None and not begin <= committed <= end:
        found.append(
            f"partition {each.partition}: the group's offset {committed} is outside the log [{begin}, {end}): "
            "what lay between is gone"
        )
    return found


def refusals(answers: Mapping[int, str | None]) -> dict[str, tuple[int, ...]]:
    """The partitions that a request to alter offsets was refused for, by the error's name. Empty: all accepted."""
    names = sorted({error for error in answers.values() if error is not None})
    return {name: tuple(sorted(p for p, error in answers.items() if error == name)) for name in names}


def differences(wanted: Mapping[int, int], found: Mapping[int, int | None]) -> list[str]:
    """Where the group's offsets, read back, are not what was asked for. Empty: the reset is done."""
    return [
        f"partition {partition}: asked for {offset}, the group has {found.get(partition)}"
        for partition, offset in sorted(wanted.items())
        if found.get(partition) != offset
    ]


def to_csv(topic: str, wanted: Mapping[int, int]) -> str:
    """The file that `kafka-consumer-groups --reset-offsets --from-file` takes for one group: topic,partition,offset."""
    return "".join(f"{topic},{partition},{offset}\n" for partition, offset in sorted(wanted.items()))
