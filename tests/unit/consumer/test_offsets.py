"""Committable offsets: never past something unfinished, whatever the order and the gaps."""

import pytest
from dicomcast_consumer.offsets import PartitionOffsets
from hypothesis import given
from hypothesis import strategies as st


def test_nothing_received_nothing_to_commit() -> None:
    assert PartitionOffsets().committable() is None


def test_the_position_is_committed_when_nothing_is_received() -> None:
    offsets = PartitionOffsets()
    offsets.receive([], position=17)
    assert offsets.committable() == 17


def test_the_lowest_unfinished_offset_holds_the_commit_back() -> None:
    offsets = PartitionOffsets()
    offsets.receive([3, 4, 5], position=7)
    offsets.finish(5)
    offsets.finish(4)
    assert offsets.committable() == 3
    offsets.finish(3)
    assert offsets.committable() == 7


def test_markers_between_records_are_passed_only_when_everything_before_is_finished() -> None:
    """Transaction markers take offsets: last + 1 would show lag for ever, the position does not."""
    offsets = PartitionOffsets()
    offsets.receive([0, 1], position=3)
    offsets.receive([], position=6)
    offsets.finish(0)
    assert offsets.committable() == 1
    offsets.finish(1)
    assert offsets.committable() == 6


def test_without_a_position_the_commit_goes_past_the_last_record() -> None:
    offsets = PartitionOffsets()
    offsets.receive([8], position=None)
    offsets.finish(8)
    assert offsets.committable() == 9


def test_offsets_must_ascend() -> None:
    offsets = PartitionOffsets()
    offsets.receive([8], position=9)
    with pytest.raises(ValueError, match="8 received after 8"):
        offsets.receive([8], position=9)


def test_span_is_what_a_restart_reads_again() -> None:
    offsets = PartitionOffsets()
    offsets.receive([0, 5, 9], position=10)
    assert offsets.span == 9
    offsets.finish(5)
    assert offsets.span == 9
    offsets.finish(0)
    assert offsets.span == 0


@given(st.lists(st.integers(1, 4), min_size=1, max_size=40), st.randoms(use_true_random=False), st.data())
def test_law_commit_is_at_most_the_lowest_unfinished_and_never_falls(steps, random, data) -> None:  # type: ignore[no-untyped-def]
    received = [sum(steps[: i + 1]) for i in range(len(steps))]
    offsets, unfinished, queued, last = PartitionOffsets(), set(), list(received), -1
    while queued or unfinished:
        if queued and (not unfinished or data.draw(st.booleans())):
            batch, queued = queued[:3], queued[3:]
            offsets.receive(batch, position=batch[-1] + 1)
            unfinished |= set(batch)
        else:
            done = random.choice(sorted(unfinished))
            unfinished.remove(done)
            offsets.finish(done)
        now = offsets.committable()
        assert now is not None
        assert now >= last
        assert not unfinished or now <= min(unfinished)
        last = now
    assert last == received[-1] + 1
