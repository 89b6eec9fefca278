"""Dates and times: DA, TM and TimezoneOffsetFromUTC become R4 date and dateTime, never with an offset nobody gave.

A time needs an offset in FHIR. It comes from (0008,0201), else from the IANA zone of the source at that date, else the
time is left out. The zone of this machine is never used.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from .elements import DataSet

__all__ = ["Clock", "is_refinement", "read_date"]

_DATE = re.compile(r"(\d{4})(?:([.\-]?)(\d{2})(?:\2(\d{2}))?)?", re.ASCII)
_TIME = re.compile(r"(\d{2})(?:(:?)(\d{2})(?:\2(\d{2})(?:\.(\d{1,6})\d*)?)?)?", re.ASCII)
_DATE_TIME = re.compile(r"(\d{4}(?:\d{2}(?:\d{2})?)?)(\d{2}(?:\d{2}(?:\d{2}(?:\.\d{1,6})?)?)?)?([+-]\d{4})?", re.ASCII)
_OFFSET = re.compile(r"([+-])(\d{2})(\d{2})", re.ASCII)


@lru_cache(maxsize=1024)
def read_date(value: str) -> str | None:
    """R4 date of a DA (PS3.5 6.2): whole or partial, legacy YYYY.MM.DD and YYYY-MM-DD; None if there is no such day."""
    found = _DATE.fullmatch(value)
    if found is None:
        return None
    year, _, month, day = found.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    return "-".join(part for part in (year, month, day) if part)


def is_refinement(value: str, of: str) -> bool:
    """Whether a date or dateTime says the same as `of`, and more."""
    return len(value) > len(of) and value.startswith(of) and value[len(of)] in "-T"


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@dataclass(frozen=True, slots=True)
class _Time:
    hour: int
    minute: int
    second: int
    fraction: str

    def json(self, leap_second: str) -> str:
        second = 59 if self.second == 60 and leap_second == "clamp" else self.second
        fraction = self.fraction.rstrip("0")
        return f"T{self.hour:02}:{self.minute:02}:{second:02}" + (f".{fraction}" if fraction else "")


@lru_cache(maxsize=1024)
def _read_time(value: str) -> _Time | None:
    """A TM (PS3.5 6.2) to the minute or finer, legacy HH:MM:SS; None if it is neither. Hours alone are not enough."""
    found = _TIME.fullmatch(value)
    if found is None:
        return None
    hour, _, minute, second, fraction = found.groups()
    time = _Time(int(hour), int(minute or 0), int(second or 0), fraction or "")
    return time if time.hour < 24 and time.minute < 60 and time.second <= 60 else None


def _offset(value: str) -> str | None:
    """±HH:MM of ±HHMM, -12:00 … +14:00; "-0000" is not allowed (PS3.3 C.12.1.1.8)."""
    found = _OFFSET.fullmatch(value)
    if found is None or value == "-0000":
        return None
    sign, hours, minutes = found.groups()
    total = int(hours) * 60 + int(minutes)
    if int(minutes) > 59 or total > (14 if sign == "+" else 12) * 60:
        return None
    return f"{sign}{hours}:{minutes}"


def _zone_offset(zone: ZoneInfo, day: str, time: _Time) -> str | None:
    """The zone's offset at a local time; None in an hour that a change of the clocks repeats or skips."""
    year, month, day_of_month = (int(part) for part in day.split("-"))
    local = datetime(year, month, day_of_month, time.hour, time.minute, min(time.second, 59), tzinfo=zone)
    offset = local.utcoffset()
    if offset is None or offset != local.replace(fold=1).utcoffset() or offset % timedelta(minutes=1):
        return None
    minutes = abs(offset) // timedelta(minutes=1)
    return f"{'-' if offset < timedelta(0) else '+'}{minutes // 60:02}:{minutes % 60:02}"


class Clock:
    """Reads the pairs of date and time of one data set with the offset that holds for it."""

    __slots__ = ("_assume_utc", "_data_set", "_leap_second", "_offset", "_zone")

    def __init__(self, data_set: DataSet, *, timezone: str | None, assume_utc: bool, leap_second: str) -> None:
        self._data_set = data_set
        self._zone = _zone(timezone) if timezone else None
        self._assume_utc = assume_utc
        self._leap_second = leap_second
        text = data_set.text("00080201", "TimezoneOffsetFromUTC")
        self._offset = _offset(text) if text else None
        if text and self._offset is None:
            data_set.omit("TimezoneOffsetFromUTC", "offset_invalid")

    def day(self, tag: str, attribute: str) -> str | None:
        """R4 date of a DA; 00010101 is an unknown date."""
        text = self._data_set.text(tag, attribute)
        if text is None or text in ("00010101", "0001-01-01", "0001.01.01"):
            return None
        day = read_date(text)
        if day is None:
            self._data_set.omit(attribute, "date_invalid")
        return day

    def moment(self, date_tag: str, date_attribute: str, time_tag: str, time_attribute: str) -> str | None:
        """R4 dateTime of a DA and a TM: as much of it as is known."""
        day = self.day(date_tag, date_attribute)
        text = self._data_set.text(time_tag, time_attribute)
        if day is None or text is None:
            return day
        time = _read_time(text)
        if time is None:
            self._data_set.omit(time_attribute, "time_invalid")
            return day
        if len(day) < 10 or len(text) < 4:
            self._data_set.omit(time_attribute, "time_without_minutes" if len(day) == 10 else "date_partial")
            return day
        return self._with_offset(day, time, time_attribute)

    def between(self, date_tag: str, date_attribute: str, time_tag: str, time_attribute: str) -> tuple[str, str] | None:
        """The earliest and the latest instant that a DA and a TM can be whose UTC offset is unknown."""
        day = self.day(date_tag, date_attribute)
        text = self._data_set.text(time_tag, time_attribute)
        time = _read_time(text) if text and len(text) >= 4 else None
        if day is None or len(day) < 10 or time is None or self._known_offset(day, time):
            return None
        local = day + time.json(self._leap_second)
        return f"{local}+14:00", f"{local}-12:00"

    def acquisition_day(self) -> str | None:
        """R4 date of AcquisitionDateTime, else of AcquisitionDate."""
        text = self._data_set.text("0008002A", "AcquisitionDateTime")
        day = read_date(text[:8]) if text else None
        if text and day is None:
            self._data_set.omit("AcquisitionDateTime", "date_invalid")
        return day or self.day("00080022", "AcquisitionDate")

    def _known_offset(self, day: str, time: _Time) -> str | None:
        return self._offset or (_zone_offset(self._zone, day, time) if self._zone else None)

    def date_time(self, text: str, attribute: str) -> str | None:
        """R4 dateTime of a DT (PS3.5 6.2): as much of it as is known. Its own offset comes first."""
        found = _DATE_TIME.fullmatch(text)
        day = read_date(found[1]) if found else None
        if found is None or day is None:
            self._data_set.omit(attribute, "date_time_invalid")
            return None
        own = _offset(found[3]) if found[3] else None
        if found[3] and own is None:
            self._data_set.omit(attribute, "offset_invalid")
        time = _read_time(found[2]) if found[2] and len(found[2]) > 2 else None
        if time is None or len(day) < 10:
            if found[2]:
                self._data_set.omit(attribute, "time_invalid" if len(found[2]) > 2 else "time_without_minutes")
            return day
        return self._with_offset(day, time, attribute, own)

    def _with_offset(self, day: str, time: _Time, time_attribute: str, own: str | None = None) -> str:
        offset = own or self._known_offset(day, time)
        if offset is None and self._assume_utc and self._zone is None:
            offset = "+00:00"
        if offset is None:
            self._data_set.omit(time_attribute, "offset_unknown")
            return day
        return day + time.json(self._leap_second) + offset
