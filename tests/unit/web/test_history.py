"""Samples become rates; charts say in words what they show."""

import re
from datetime import UTC, datetime

import pytest
from dicomcast_consumer.status import GroupStatus, PartitionStatus
from dicomcast_consumer.web import charts
from dicomcast_consumer.web.chart import Line, ceiling, chart
from dicomcast_consumer.web.history import BUCKET_S, WINDOW_S, Sample, kept, points, sample_of
from dicomcast_consumer.web.overview import Snapshot
from hypothesis import given
from hypothesis import strategies as st

T = 1_800_000_000.0


def sample(at_s: float, reads_on: dict[int, int], ends: dict[int, int]) -> Sample:
    return Sample(at_s=at_s, reads_on=reads_on, ends=ends)


def partition(number: int, committed: int | None, end: int) -> PartitionStatus:
    return PartitionStatus(
        partition=number,
        committed=committed,
        begin=0,
        end=end,
        oldest_unfinished_at=None,
        member=None,
        dead_letters=None,
    )


def status(*partitions: PartitionStatus) -> GroupStatus:
    return GroupStatus(topic="t", group="g", dead_letter_topic="t.g.dlq", partitions=partitions, members=())


def test_rates_are_the_difference_over_the_time_between() -> None:
    samples = [sample(T, {0: 10, 1: 0}, {0: 40, 1: 0}), sample(T + BUCKET_S, {0: 40, 1: 30}, {0: 40, 1: 60})]
    (both,) = points(samples)
    assert (both.lag, both.applied_per_s, both.arrived_per_s) == (30, 2.0, 2.0)
    (one,) = points(samples, partition=1)
    assert (one.lag, one.applied_per_s, one.arrived_per_s) == (30, 1.0, 2.0)


def test_a_replay_or_a_new_partition_is_no_throughput() -> None:
    samples = [sample(T, {0: 100}, {0: 100}), sample(T + BUCKET_S, {0: 0, 1: 7}, {0: 100, 1: 9})]
    (point,) = points(samples)
    assert (point.lag, point.applied_per_s, point.arrived_per_s) == (102, 0.0, 0.0)


def test_one_look_gives_no_rate() -> None:
    assert points([]) == []
    assert points([sample(T, {0: 1}, {0: 1})]) == []


def test_what_is_older_than_the_window_is_let_go() -> None:
    samples: tuple[Sample, ...] = ()
    for step in range(2000):
        samples = kept(samples, sample(T + 5 * step, {0: step}, {0: step}))
    assert len(samples) <= (WINDOW_S + BUCKET_S) / 5 + 1
    assert len(points(samples)) <= (WINDOW_S + BUCKET_S) / BUCKET_S + 1


def test_a_group_without_offset_reads_on_at_the_begin() -> None:
    found = sample_of(status(partition(0, None, 12), partition(1, 5, 12)), T)
    assert (found.reads_on, found.ends) == ({0: 0, 1: 5}, {0: 12, 1: 12})


@given(st.floats(min_value=0, max_value=1e12))
def test_the_top_of_an_axis_is_round_and_above(value: float) -> None:
    top = ceiling(value)
    assert top >= value
    assert re.fullmatch(r"[125]e\+\d+", f"{top:.0e}")
    assert top <= max(1.0, value * 2.5 + 1e-9)


def test_a_chart_says_its_numbers_and_stays_inside() -> None:
    values = [(T - 60 * n, float(n * 37)) for n in range(80, -1, -1)]
    svg = str(chart([Line("lag", "lag", values)], now_s=T, id="x", title="Lag <now>", desc="a & b"))
    assert '<title id="x-t">Lag &lt;now&gt;</title><desc id="x-d">a &amp; b</desc>' in svg
    places = [place.split(",") for path in re.findall(r'points="([^"]+)"', svg) for place in path.split()]
    assert places
    assert all(0 <= float(x) <= 640 and 0 <= float(y) <= 200 for x, y in places)


def test_a_time_that_nobody_watched_is_a_gap() -> None:
    values = [(T - 1000, 1.0), (T - 970, 1.0), (T - 100, 1.0), (T - 70, 1.0)]
    assert str(chart([Line("lag", "lag", values)], now_s=T, id="x", title="", desc="")).count("<polyline") == 2


def test_the_table_says_the_same_as_the_pictures() -> None:
    samples = tuple(sample(T + 30 * n, {0: 60 * n}, {0: 60 * n + 5}) for n in range(60))
    found = charts.of_group(samples, T + 30 * 59)
    assert [each.lag for each in found.table] == [5] * len(found.table)
    assert found.table[0].at_s > found.table[-1].at_s
    assert "Now 5 records, at most 5." in found.lag
    assert "Now 2.0 records a second applied and 2.0 arrived" in found.throughput


@pytest.mark.parametrize("samples", [(), (sample(T, {0: 1}, {0: 1}),)])
def test_before_the_second_look_it_says_so(samples: tuple[Sample, ...]) -> None:
    found = charts.of_group(samples, T)
    assert "Nothing has been measured yet." in found.lag
    (row,) = charts.rows(Snapshot(status=status(partition(0, 1, 1)), samples=samples), datetime.fromtimestamp(T, UTC))
    assert row.applied_per_s is None
