"""What a member owns, where its parts tell only together: a partition that was stopped is not idle."""

from dicomcast_consumer.assignments import Assignments
from dicomcast_consumer.record import Record


def record(partition: int, offset: int, timestamp_ms: int) -> Record:
    return Record(
        topic="t", partition=partition, offset=offset, key=b"a", value=b"", headers=(), timestamp_ms=timestamp_ms
    )


def stopped() -> Assignments:
    """Partition 0 was stopped by the record of 5,000 ms; partition 1 has finished what it had."""
    owned = Assignments(max_span=100)
    owned.assign({0: 1, 1: 2})
    owned.receive(0, [record(0, 3, 5_000)], position=4)
    (run,) = owned.pick(max_runs=9, max_records=9, max_bytes=9)
    owned.end(run, finished=False)
    owned.stop(0, 3)
    owned.receive(1, [record(1, 0, 9_000)], position=1)
    (run,) = owned.pick(max_runs=9, max_records=9, max_bytes=9)
    owned.end(run, finished=True)
    return owned


def test_what_stopped_a_partition_waits_as_long_as_the_partition_is_ours() -> None:
    """Bug put back: it neither waits nor is in flight, so all is said to be done."""
    owned = stopped()
    assert (owned.idle, owned.state({}).oldest_ms) == (False, 5_000)
    owned.lose([0])
    assert (owned.idle, owned.state({}).oldest_ms) == (True, None)


def test_what_stopped_a_partition_is_the_next_owners_after_a_revocation() -> None:
    owned = stopped()
    assert owned.drained(owned.revoke([0])) == {0: 3}
    assert owned.idle


def test_where_a_partition_begins_without_an_offset_of_the_group_is_committed_though_nothing_comes() -> None:
    """Bug put back: start=latest, the one commit at the assignment is refused, and the next owner begins later."""
    owned = Assignments(max_span=100)
    owned.assign({0: 1, 1: 2}, begins={0: 7})
    owned.receive(0, [], position=None)
    assert owned.committable() == {0: 7}
    assert owned.drained(owned.revoke([0])) == {0: 7}
