"""Where a replay is to begin, as a person writes it: `--to`. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["FORMS", "Arrival", "Earliest", "Latest", "Offsets", "SequenceFrom", "StudyFrom", "Target", "parse_target"]

FORMS: Final = "earliest, latest, datetime:TIME, duration:SPAN, sequence:N, PARTITION:OFFSET"

_DURATION: Final = re.compile(
    r"P?(?:(?P<days>\d+)D)?T?(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Earliest:
    """The first record that the topic still has."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The end as it is now."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The first record that arrived on the topic at this time or later."""

    at: datetime
    """Aware."""


@dataclass(frozen=True, slots=True)
class SequenceFrom:
    """The first event with this sequence or a higher one; `feed` is needed where the topic has several."""

    sequence: int
    feed: str | None = None


@dataclass(frozen=True, slots=True)
class Offsets:
    """Offsets of single partitions; the others stay as they are."""

    by_partition: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class StudyFrom:
    """The first event of a study, on the study's partition; the others stay as they are."""

    study_instance_uid: str


Target = Earliest | Latest | Arrival | SequenceFrom | Offsets | StudyFrom


def parse_target(to: Sequence[str], *, study: str | None, now: datetime) -> Target:
    """The target of `--to` (repeated only for PARTITION:OFFSET) or `--study`.

    Raises ValueError, saying what is wrong and what may stand there.
    """
    if study is not None:
        if to:
            raise ValueError("--to and --study exclude each other")
        return StudyFrom(study.strip(" \0"))
    if not to:
        raise ValueError(f"say where to begin: --to with one of {FORMS}, or --study UID")
    if all(re.fullmatch(r"\d+:\d+", text) for text in to):
        return _offsets(to)
    if len(to) > 1:
        raise ValueError("--to may be repeated only with PARTITION:OFFSET")
    return _single(to[0], now)


def _single(text: str, now: datetime) -> Target:
    kind, _, value = text.partition(":")
    match kind:
        case "earliest" if not value:
            return Earliest()
        case "latest" if not value:
            return Latest()
        case "datetime":
            return Arrival(_time(value))
        case "duration":
            return Arrival(now.astimezone(UTC) - _span(value))
        case "sequence":
            return _sequence(value)
    raise ValueError(f"--to {text}: must be one of {FORMS}")


def _offsets(to: Sequence[str]) -> Offsets:
    pairs = [(int(partition), int(offset)) for partition, offset in (text.split(":") for text in to)]
    twice = sorted({partition for partition, _ in pairs if [p for p, _ in pairs].count(partition) > 1})
    if twice:
        raise ValueError(f"--to names partition {twice[0]} twice")
    return Offsets(tuple(sorted(pairs)))


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r} is not an ISO 8601 time such as 2026-05-01T06:00:00Z") from None
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset: add Z or one such as +02:00")
    return at


def _span(text: str) -> timedelta:
    found = _DURATION.fullmatch(text.strip())
    parts = {name: int(value) for name, value in (found.groupdict() if found else {}).items() if value is not None}
    if not parts:
        raise ValueError(f"{text!r} is not a duration such as 30m, 6h, 2d or PT6H30M")
    try:
        return timedelta(**parts)
    except OverflowError:
        raise ValueError(f"{text!r} is longer than any topic") from None


def _sequence(text: str) -> SequenceFrom:
    feed, _, number = text.rpartition(":")
    if not number.isdecimal():
        raise ValueError(f"sequence:{text}: must be sequence:N, or sequence:FEED:N where the topic has several feeds")
    return SequenceFrom(int(number), feed or None)
