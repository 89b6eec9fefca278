"""The one case in which an event may be on the topic twice: Kafka had lost the end of the transaction that it was in,
and the producer ended it with its last event again, and said so (docs/producer.md). Pure."""

import re
from collections import Counter
from dataclasses import replace

from tests.chaos.evidence import Evidence

__all__ = ["ends_lost", "without_repeats"]

_SAID = re.compile(r"event=transaction\.left_open partitions=\"?(\[.*?\])\"? committed(?:\s|$)", re.MULTILINE)


def ends_lost(producer_log: str, topic: str) -> Counter[int]:
    """How often a producer said that it ends a transaction of each partition of the topic, to be committed."""
    places = " ".join(_SAID.findall(producer_log))
    return Counter(int(partition) for partition in re.findall(rf"'{re.escape(topic)}\[(\d+)\]'", places))


def without_repeats(evidence: Evidence) -> tuple[Evidence, int]:
    """The evidence without the events that may be there again, and how many these are.

    Each must be the same event, come straight after itself in its partition, and have been announced. A dead letter of
    it counts as one of the event itself.
    """
    left = Counter(evidence.ends_lost)
    kept, firsts = [], dict[tuple[int, int], int]()
    for record in evidence.records:
        before = kept[-1] if kept else None
        is_again = before is not None and (record.partition, record.event) == (before.partition, before.event)
        if before is not None and is_again and left[record.partition]:
            left[record.partition] -= 1
            firsts[record.partition, record.offset] = before.offset
        else:
            kept.append(record)
    letters = [replace(one, offset=firsts.get((one.partition, one.offset), one.offset)) for one in evidence.letters]
    return replace(evidence, records=kept, letters=letters), len(firsts)
