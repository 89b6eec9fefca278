"""The charts of the page with their text alternatives, and the rows of the partitions' table. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from markupsafe import Markup

from ..status import PartitionStatus
from .chart import Line, chart, sparkline
from .history import Point, Sample, points
from .overview import Snapshot, rates
from .wording import count, rate

__all__ = ["Charts", "Row", "of_group", "rows"]

_TABLE_EVERY_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Charts:
    """Two pictures and the same as a table."""

    lag: Markup
    throughput: Markup
    table: tuple[Point, ...]
    """One point for each five minutes, the newest first."""
    since_s: float | None
    """When the first look was; None before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One partition in the table."""

    status: PartitionStatus
    age_s: float | None
    applied_per_s: float | None
    lag_line: Markup
    applied_line: Markup


def of_group(samples: Sequence[Sample], now_s: float, *, partition: int | None = None) -> Charts:
    """Of all partitions together, or of one."""
    found = points(samples, partition=partition)
    lag = Line("lag", "lag", [(each.at_s, each.lag) for each in found])
    applied = Line("applied", "applied", [(each.at_s, each.applied_per_s) for each in found])
    arrived = Line("arrived", "arrived", [(each.at_s, each.arrived_per_s) for each in found])
    return Charts(
        lag=chart([lag], now_s=now_s, id="lag", title="Lag over the last hour", desc=_lag_words(found)),
        throughput=chart(
            [arrived, applied],
            now_s=now_s,
            id="throughput",
            title="Throughput over the last hour",
            desc=_rate_words(found),
        ),
        table=tuple(_thinned(found)),
        since_s=samples[0].at_s if samples else None,
    )


def rows(seen: Snapshot, now: datetime) -> list[Row]:
    """All partitions, in order."""
    return [_row(seen, each, now) for each in (seen.status.partitions if seen.status else ())]


def _row(seen: Snapshot, each: PartitionStatus, now: datetime) -> Row:
    found, last = points(seen.samples, partition=each.partition), rates(seen.samples, each.partition)
    lag_line = [(point.at_s, float(point.lag)) for point in found]
    applied_line = [(point.at_s, point.applied_per_s) for point in found]
    name, now_s = f"partition {each.partition}", now.timestamp()
    return Row(
        status=each,
        age_s=each.age_s(now),
        applied_per_s=None if last is None else last[0],
        lag_line=sparkline(lag_line, now_s=now_s, style="lag", title=f"Lag of {name}: {_lag_words(found)}"),
        applied_line=sparkline(
            applied_line, now_s=now_s, style="applied", title=f"Throughput of {name}: {_rate_words(found)}"
        ),
    )


def _lag_words(found: Sequence[Point]) -> str:
    if not found:
        return "Nothing has been measured yet."
    return f"Now {count(found[-1].lag)} records, at most {count(max(each.lag for each in found))}."


def _rate_words(found: Sequence[Point]) -> str:
    if not found:
        return "Nothing has been measured yet."
    most = max(each.applied_per_s for each in found)
    return (
        f"Now {rate(found[-1].applied_per_s)} records a second applied and {rate(found[-1].arrived_per_s)} arrived; "
        f"at most {rate(most)} applied."
    )


def _thinned(found: Sequence[Point]) -> list[Point]:
    by_interval = {int(each.at_s // _TABLE_EVERY_S): each for each in found}
    return list(by_interval.values())[::-1]
