"""The plan of a reset, its warnings, its CSV, and whether it was done."""

import pytest
from dicomcast_consumer.replay_plan import (
    PartitionOffsets,
    PlannedPartition,
    beyond,
    differences,
    plan_partitions,
    refusals,
    to_csv,
    warnings,
)
from hypothesis import given
from hypothesis import strategies as st


def at(partition: int = 0, *, begin: int = 10, end: int = 100, committed: int | None = 60) -> PartitionOffsets:
    return PartitionOffsets(partition=partition, begin=begin, end=end, committed=committed)


def only(now: PartitionOffsets, target: int) -> PlannedPartition:
    (planned,) = plan_partitions([now], {now.partition: target})
    return planned


def test_redo_and_skip() -> None:
    assert (only(at(), 20).redo, only(at(), 20).skip) == (40, 0)
    assert (only(at(), 75).redo, only(at(), 75).skip) == (0, 15)
    assert (only(at(), 60).redo, only(at(), 60).skip) == (0, 0)


def test_a_group_without_offset_redoes_nothing_and_skips_what_it_never_read() -> None:
    assert (only(at(committed=None), 20).redo, only(at(committed=None), 20).skip) == (0, 10)


def test_a_partition_without_target_stays() -> None:
    first, second = plan_partitions([at(1), at(0)], {1: 20})
    assert (first.partition, first.target, first.redo, first.skip) == (0, None, 0, 0)
    assert (second.partition, second.target) == (1, 20)


@pytest.mark.parametrize(("asked", "target", "says"), [(3, 10, "retention"), (500, 100, "beyond the end")])
def test_a_target_outside_the_log_is_moved_and_said(asked: int, target: int, says: str) -> None:
    planned = only(at(), asked)
    assert planned.target == target
    assert any(says in text and str(asked) in text for text in warnings([planned]))


def test_skipping_and_lost_offsets_are_said() -> None:
    assert warnings([only(at(), 20)]) == []
    assert any("passed over" in text for text in warnings([only(at(), 90)]))
    assert any("outside the log" in text for text in warnings([only(at(committed=3), 10)]))


def test_a_search_that_finds_no_record_is_said_to_begin_at_the_end() -> None:
    assert beyond([only(at(), 100), only(at(1), 100)], "sequence 99999") == [
        "the topic has no record from sequence 99999 on: begins at the end, as with `--to latest`"
    ]
    assert beyond([only(at(), 100), only(at(1), 99)], "sequence 5") == []


def test_an_unknown_partition_is_refused() -> None:
    with pytest.raises(ValueError, match="no partition 7"):
        plan_partitions([at()], {7: 1})


@given(
    begin=st.integers(0, 50),
    size=st.integers(0, 50),
    committed=st.none() | st.integers(0, 120),
    asked=st.integers(0, 200),
)
def test_a_target_is_never_outside_the_log(begin: int, size: int, committed: int | None, asked: int) -> None:
    planned = only(at(begin=begin, end=begin + size, committed=committed), asked)
    assert planned.target is not None
    assert begin <= planned.target <= begin + size
    assert planned.redo == 0 or planned.skip == 0
    assert (planned.asked is None) == (planned.target == asked)


def test_refusals_are_by_error() -> None:
    answers = {0: None, 2: "UNKNOWN_MEMBER_ID", 1: "UNKNOWN_MEMBER_ID", 3: "NO_ANSWER"}
    assert refusals(answers) == {"NO_ANSWER": (3,), "UNKNOWN_MEMBER_ID": (1, 2)}
    assert refusals({0: None}) == {}


def test_differences_names_what_is_not_as_asked() -> None:
    assert differences({0: 1, 1: 2}, {0: 1, 1: 2, 2: 9}) == []
    assert differences({0: 1, 1: 2}, {0: 1, 1: None}) == ["partition 1: asked for 2, the group has None"]
    assert differences({0: 1}, {}) != []


def test_csv_is_that_of_kafkas_tool() -> None:
    assert to_csv("t", {1: 5, 0: 3}) == "t,0,3\nt,1,5\n"
