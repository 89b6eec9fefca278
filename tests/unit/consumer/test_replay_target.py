"""What --to and --study mean."""

from datetime import UTC, datetime, timedelta

import pytest
from dicomcast_consumer.replay_target import (
    Arrival,
    Earliest,
    Latest,
    Offsets,
    SequenceFrom,
    StudyFrom,
    Target,
    parse_target,
)

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("to", "target"),
    [
        (["earliest"], Earliest()),
        (["latest"], Latest()),
        (["datetime:2026-05-01T06:00:00Z"], Arrival(NOW - timedelta(hours=6))),
        (["datetime:2026-05-01T08:00:00+02:00"], Arrival(NOW - timedelta(hours=6))),
        (["duration:6h"], Arrival(NOW - timedelta(hours=6))),
        (["duration:PT6H30M"], Arrival(NOW - timedelta(hours=6, minutes=30))),
        (["duration:2d"], Arrival(NOW - timedelta(days=2))),
        (["duration:P1DT1S"], Arrival(NOW - timedelta(days=1, seconds=1))),
        (["sequence:42"], SequenceFrom(42)),
        (["sequence:main:42"], SequenceFrom(42, "main")),
        (["3:100"], Offsets(((3, 100),))),
        (["3:100", "0:5"], Offsets(((0, 5), (3, 100)))),
    ],
)
def test_forms(to: list[str], target: Target) -> None:
    assert parse_target(to, study=None, now=NOW) == target


def test_study() -> None:
    assert parse_target([], study="1.2.3\0", now=NOW) == StudyFrom("1.2.3")


@pytest.mark.parametrize(
    ("to", "says"),
    [
        ([], "--to"),
        (["soonest"], "must be one of"),
        (["latest:1"], "must be one of"),
        (["datetime:2026-05-01T06:00:00"], "UTC offset"),
        (["datetime:yesterday"], "ISO 8601"),
        (["duration:"], "duration"),
        (["duration:P"], "duration"),
        (["duration:six hours"], "duration"),
        (["duration:99999999999999d"], "longer"),
        (["sequence:x"], "sequence:N"),
        (["sequence:-1"], "sequence:N"),
        (["earliest", "latest"], "repeated"),
        (["1:2", "1:3"], "twice"),
    ],
)
def test_what_is_wrong_is_said(to: list[str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_target(to, study=None, now=NOW)


def test_to_and_study_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="exclude"):
        parse_target(["earliest"], study="1.2", now=NOW)
