"""Bisection for a sequence, over partitions with other feeds' records, markers and holes between."""

from dicomcast_consumer.replay_search import FeedSequence, SequenceSearch, feed_sequence
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.events import create, record


def search(log: dict[int, int], *, begin: int, end: int, sequence: int) -> tuple[int, int]:
    """Offset found and number of probes; `log` is offset → sequence."""
    found = SequenceSearch(begin=begin, end=end, sequence=sequence)
    probes = 0
    while (probe := found.probe()) is not None:
        probes += 1
        first = next((offset for offset in sorted(log) if probe[0] <= offset < probe[1]), None)
        found.answer(first, None if first is None else log[first])
    return found.found, probes


@given(
    offsets=st.sets(st.integers(0, 300)),
    steps=st.lists(st.integers(1, 9), min_size=301, max_size=301),
    sequence=st.integers(0, 2_000),
)
def test_finds_the_first_event_with_the_sequence_or_a_higher_one(
    offsets: set[int], steps: list[int], sequence: int
) -> None:
    log: dict[int, int] = {}
    for offset, step in zip(sorted(offsets), steps, strict=False):
        log[offset] = (max(log.values()) if log else 0) + step
    expected = next((offset for offset in sorted(log) if log[offset] >= sequence), 301)
    found, probes = search(log, begin=0, end=301, sequence=sequence)
    assert found == expected
    assert probes <= 10


def test_after_the_cursor_was_set_back_what_is_read_has_the_whole_last_pass() -> None:
    sequences = [*range(1, 101), *range(40, 121)]
    log = dict(enumerate(sequences))
    found, _ = search(log, begin=0, end=len(log), sequence=70)
    read = [log[offset] for offset in range(found, len(log))]
    assert set(range(70, 121)) <= set(read)


def test_an_empty_log() -> None:
    assert search({}, begin=5, end=5, sequence=1) == (5, 0)


def test_sequence_by_header_or_by_value() -> None:
    kept = record(create(7, "1.2", "1.2.3"), offset=0)
    assert feed_sequence(kept) == FeedSequence("main", 7)
    bare = type(kept)(**{**{n: getattr(kept, n) for n in kept.__dataclass_fields__}, "headers": ()})
    assert feed_sequence(bare) == FeedSequence("main", 7)
    assert feed_sequence(record(create(7, "1.2", "1.2.3"), offset=0, value=b"damaged")) == FeedSequence("main", 7)
    broken = type(kept)(**{**{n: getattr(bare, n) for n in bare.__dataclass_fields__}, "value": b"damaged"})
    assert feed_sequence(broken) is None
