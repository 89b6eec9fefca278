"""The change feed's times: ISO 8601 with 100 ns, counted in ticks since 1970-01-01T00:00Z."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dicomcast_sandbox.dicom.store import TICKS_PER_S

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(?P<whole>\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)(?:\.(?P<fraction>\d{1,7}))?(?P<zone>Z|[+-]\d\d:?\d\d)?",
    re.IGNORECASE,
)


class NoZoneError(ValueError):
    """A time without a zone names no instant."""


def _ticks(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(seconds=1) * TICKS_PER_S


MIN_TICKS = _ticks(datetime.min.replace(tzinfo=UTC))
MAX_TICKS = _ticks(datetime.max.replace(tzinfo=UTC)) + TICKS_PER_S - 1


def format_ticks(ticks: int) -> str:
    """For example 2023-05-03T10:58:00.1234567+00:00."""
    whole, fraction = divmod(ticks, TICKS_PER_S)
    return f"{_EPOCH + timedelta(seconds=whole):%Y-%m-%dT%H:%M:%S}.{fraction:07d}+00:00"


def parse_ticks(text: str) -> int:
    """Raises NoZoneError without a zone, ValueError for anything that is not a date or a date and time."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a date and time")
    datetime.fromisoformat(match["whole"])
    if match["zone"] is None:
        raise NoZoneError
    try:
        moment = datetime.fromisoformat(match["whole"] + match["zone"].upper())
        whole = _ticks(moment.astimezone(UTC))
    except OverflowError as error:
        raise ValueError("out of range") from error
    return whole + int((match["fraction"] or "0").ljust(7, "0"))
