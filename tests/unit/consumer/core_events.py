"""Events of a few bytes, and the log of a partition, for the state machine of the core."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from dicomcast_consumer.mapping import InstanceChange, Kind, Mark
from dicomcast_consumer.record import Record
from hypothesis import strategies as st

PARTITIONS = (0, 1)
GAP = 2
partitions = st.sampled_from(PARTITIONS)


@dataclass(frozen=True, slots=True)
class Event:
    """What a record says; a bad one is rejected whenever it is applied."""

    instance: str
    kind: Kind
    bad: bool = False


events = st.builds(
    Event,
    st.sampled_from("ab"),
    st.sampled_from([Kind.UPSERT, Kind.UPSERT, Kind.REMOVE, Kind.SKIP]),
    st.sampled_from([False, False, False, True]),
)
productions = st.lists(st.tuples(partitions, st.integers(0, 1), events, st.integers(0, GAP)), min_size=8, max_size=16)


def record(partition: int, offset: int, study: int, event: Event) -> Record:
    key, value = b"%d.%d" % (partition, study), f"{event.instance} {event.kind.name} {event.bad:d}".encode()
    return Record(topic="t", partition=partition, offset=offset, key=key, value=value, headers=(), timestamp_ms=0)


def event_of(one: Record) -> Event:
    instance, kind, bad = (one.value or b"").decode().split()
    return Event(instance, Kind[kind], bad == "1")


def change_of(one: Record) -> InstanceChange:
    event, mark = event_of(one), Mark(feed="f", timestamp=datetime(2026, 1, 1, tzinfo=UTC), sequence=one.offset)
    uids = {"study_instance_uid": one.lane.decode(), "series_instance_uid": "1", "sop_instance_uid": event.instance}
    return InstanceChange(mark=mark, kind=event.kind, **uids)


@dataclass(slots=True)
class Log:
    """One partition at the broker. Offsets without a record are transaction markers."""

    records: list[Record] = field(default_factory=list)
    end: int = 0
    committed: int = 0
