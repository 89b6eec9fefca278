"""Lanes: one run in flight per study, partition order within it, orphans block their study."""

from collections.abc import Sequence

from dicomcast_consumer.lanes import Lanes, Run
from dicomcast_consumer.record import Record


def record(offset: int, key: bytes | None, partition: int = 0, size: int = 0) -> Record:
    return Record(topic="t", partition=partition, offset=offset, key=key, value=b"x" * size, headers=(), timestamp_ms=0)


def pick(lanes: Lanes, *, max_runs: int = 100, max_records: int = 100, max_bytes: int = 10**9) -> Sequence[Run]:
    return lanes.pick(max_runs=max_runs, max_records=max_records, max_bytes=max_bytes)


def offsets(runs: Sequence[Run]) -> list[list[int]]:
    return [[r.offset for r in run.records] for run in runs]


def assigned(*partitions: int) -> Lanes:
    lanes = Lanes()
    for epoch, partition in enumerate(partitions):
        lanes.assign(partition, epoch)
    return lanes


def test_a_run_is_everything_that_waits_in_a_lane() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a"), record(1, b"b"), record(2, b"a")])
    assert offsets(pick(lanes)) == [[0, 2], [1]]


def test_a_study_has_one_run_in_flight() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a")])
    (run,) = pick(lanes)
    lanes.receive(0, [record(1, b"a")])
    assert pick(lanes) == ()
    assert lanes.end(run, finished=True)
    assert offsets(pick(lanes)) == [[1]]


def test_bounds_cut_a_run_and_keep_its_order() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(n, b"a") for n in range(5)])
    (run,) = pick(lanes, max_records=3)
    assert offsets([run]) == [[0, 1, 2]]
    lanes.end(run, finished=True)
    assert offsets(pick(lanes)) == [[3, 4]]


def test_a_study_that_does_not_fit_beside_another_is_left_whole() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(offset, b"aabbbc"[offset : offset + 1]) for offset in range(6)])
    assert offsets(pick(lanes, max_records=4)) == [[0, 1]]
    assert offsets(pick(lanes, max_records=4)) == [[2, 3, 4], [5]]


def test_one_record_is_taken_whatever_its_size() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a", size=1000), record(1, b"a")])
    assert offsets(pick(lanes, max_bytes=10)) == [[0]]


def test_records_without_key_are_lanes_of_their_own() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, None), record(1, None)])
    assert offsets(pick(lanes)) == [[0], [1]]


def test_a_pick_is_of_one_partition_and_partitions_take_turns() -> None:
    lanes = assigned(0, 1)
    lanes.receive(0, [record(0, b"a"), record(1, b"b")])
    lanes.receive(1, [record(0, b"c", partition=1)])
    assert [run.partition for run in pick(lanes, max_runs=1)] == [0]
    assert [run.partition for run in pick(lanes, max_runs=1)] == [1]
    assert [run.partition for run in pick(lanes, max_runs=1)] == [0]


def test_an_orphan_blocks_its_study_until_it_ends() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a"), record(1, b"b")])
    orphan, other = pick(lanes)
    lanes.end(other, finished=True)
    lanes.revoke(0)
    lanes.assign(0, 7)
    lanes.receive(0, [record(0, b"a"), record(1, b"b")])
    assert offsets(pick(lanes)) == [[1]]
    assert not lanes.end(orphan, finished=True)
    assert offsets(pick(lanes)) == [[0]]


def stopped_at_2() -> tuple[Lanes, Run]:
    """Of studies a (offsets 0, 2, 3), b (1, 4), c (5), a met what stops the partition, at 2; b is in flight still."""
    lanes = assigned(0)
    lanes.receive(0, [record(offset, b"abaabc"[offset : offset + 1]) for offset in range(6)])
    a, b, c = pick(lanes)
    assert lanes.stop(0, 2)
    assert lanes.end(a, finished=False)
    assert lanes.end(c, finished=True)
    lanes.receive(0, [record(6, b"c"), record(7, b"d")])
    return lanes, b


def test_a_stopped_partition_gives_what_stands_before_that_and_no_more() -> None:
    """Bug put back: good studies before a foreign record wait with it, and are lost with it when it is passed over."""
    lanes, b = stopped_at_2()
    (again,) = pick(lanes)
    assert offsets([again]) == [[0]]
    assert lanes.end(again, finished=True)
    assert (lanes.stopped, lanes.stands(0)) == ({0}, False)
    assert lanes.end(b, finished=True)
    assert (pick(lanes), lanes.stands(0), lanes.idle) == ((), True, False)


def test_in_strict_order_a_stopped_partition_gives_that_too() -> None:
    lanes, b = stopped_at_2()
    lanes.end(b, finished=False)
    order = []
    while runs := lanes.pick_in_order(max_records=100, max_bytes=10**9):
        order += offsets(runs)
        lanes.end(runs[0], finished=True)
    assert (order, lanes.stands(0)) == ([[0], [1]], True)


def test_the_lowest_offset_that_stops_a_partition_stands() -> None:
    lanes, b = stopped_at_2()
    assert not lanes.stop(0, 4)
    assert lanes.stop(0, 0)
    assert pick(lanes) == ()
    assert lanes.end(b, finished=False)
    assert (pick(lanes), lanes.stands(0)) == ((), True)


def test_a_partition_that_is_not_stopped_or_not_ours_stands_nowhere() -> None:
    lanes = assigned(0)
    assert not lanes.stands(0)
    assert not lanes.stop(1, 0)
    assert not lanes.stands(1)


def test_what_another_assignment_left_unfinished_does_not_wait_again() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a")])
    (orphan,) = pick(lanes)
    lanes.revoke(0)
    lanes.assign(0, 7)
    assert not lanes.end(orphan, finished=False)
    assert lanes.idle


def test_a_late_end_does_not_end_the_new_run_of_the_study() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a")])
    (old,) = pick(lanes)
    lanes.end(old, finished=True)
    lanes.receive(0, [record(1, b"a")])
    (new,) = pick(lanes)
    lanes.receive(0, [record(2, b"a")])
    lanes.end(old, finished=True)
    assert pick(lanes) == ()
    lanes.end(new, finished=True)
    assert offsets(pick(lanes)) == [[2]]


def test_in_order_a_run_ends_where_another_studys_record_stands() -> None:
    lanes = assigned(0)
    lanes.receive(0, [record(0, b"a"), record(1, b"a"), record(2, b"b"), record(3, b"a")])
    order = []
    while runs := lanes.pick_in_order(max_records=100, max_bytes=10**9):
        order += offsets(runs)
        lanes.end(runs[0], finished=True)
    assert order == [[0, 1], [2], [3]]
