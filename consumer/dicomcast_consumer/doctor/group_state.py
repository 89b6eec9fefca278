"""What a group's committed offsets say beside the ends of the log. Pure."""

from collections.abc import Mapping

from ..group_admin import LogEnds
from ..kafka_errors import offset_gone

__all__ = ["offsets_text"]


def offsets_text(topic: str, committed: Mapping[int, int | None], log: Mapping[int, LogEnds], *, start: str) -> str:
    """How far the group is. Raises BrokenContractError for an offset that is not in the log.

    `start`: where a group without offsets begins.
    """
    lag = 0
    for partition, ends in sorted(log.items()):
        offset = committed.get(partition)
        if offset is not None and not ends.begin <= offset <= ends.end:
            raise offset_gone(topic, partition)
        lag += ends.end - (ends.begin if offset is None else offset)
    if all(offset is None for offset in committed.values()):
        return f"no offsets yet: it begins at the {start} record"
    return f"lag {lag}"
