"""DA, TM and the UTC offset (rules N5 to N8)."""

from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions, SourceProfile
from dicomcast_consumer.mapping.dates import is_refinement, read_date

from tests.unit.mapping.scene import URL, change, omissions

BERLIN = SourceProfile(feed="pacs", dicomweb_url=URL, timezone="Europe/Berlin")


def _started(**rest: Any) -> str | None:
    found = change(**rest)
    assert found.study is not None
    return found.study.started


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20210228", "2021-02-28"),
        ("2021.02.28", "2021-02-28"),
        ("2021-02-28", "2021-02-28"),
        ("2021", "2021"),
        ("202102", "2021-02"),
        ("2021-02", "2021-02"),
        ("20210231", None),
        ("20210000", None),
        ("00000101", None),
        ("2021.02-28", None),
        ("20210228-20210301", None),
        ("210228", None),
        ("２０２１０２２８", None),
        ("ANONYMIZED", None),
    ],
)
def test_dates(text: str, expected: str | None) -> None:
    assert read_date(text) == expected


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("101112", "2021-02-28T10:11:12+01:00"),
        ("101112.120000", "2021-02-28T10:11:12.12+01:00"),
        ("101112.000", "2021-02-28T10:11:12+01:00"),
        ("1011", "2021-02-28T10:11:00+01:00"),
        ("10:11:12", "2021-02-28T10:11:12+01:00"),
        ("10:11:12.5", "2021-02-28T10:11:12.5+01:00"),
        ("235960", "2021-02-28T23:59:60+01:00"),
        ("10", "2021-02-28"),
        ("2400", "2021-02-28"),
        ("101260.", "2021-02-28"),
        ("10111", "2021-02-28"),
        ("1061", "2021-02-28"),
        ("noon", "2021-02-28"),
    ],
)
def test_times(time: str, expected: str) -> None:
    found = change(StudyDate="20210228", StudyTime=time, TimezoneOffsetFromUTC="+0100")
    assert found.study is not None
    assert found.study.started == expected
    assert ("T" in expected) or any(attribute == "StudyTime" for attribute, _ in omissions(found))


def test_a_leap_second_can_be_clamped() -> None:
    rest = {"StudyDate": "20161231", "StudyTime": "235960", "TimezoneOffsetFromUTC": "+0000"}
    assert _started(options=MappingOptions(leap_second="clamp"), **rest) == "2016-12-31T23:59:59+00:00"


@pytest.mark.parametrize(
    ("offset", "expected"),
    [
        ("+0000", "+00:00"),
        ("-0330", "-03:30"),
        ("+1400", "+14:00"),
        ("-1200", "-12:00"),
        ("+0545", "+05:45"),
        ("-0000", None),
        ("+1401", None),
        ("-1230", None),
        ("+0160", None),
        ("UTC-04:00", None),
        ("+01:00", None),
        ("0", None),
    ],
)
def test_offsets(offset: str, expected: str | None) -> None:
    found = change(StudyDate="20210701", StudyTime="1200", TimezoneOffsetFromUTC=offset)
    assert found.study is not None
    assert found.study.started == ("2021-07-01T12:00:00" + expected if expected else "2021-07-01")
    assert (("TimezoneOffsetFromUTC", "offset_invalid") in omissions(found)) == (expected is None)


@pytest.mark.parametrize(
    ("date", "time", "expected"),
    [
        ("20210701", "1200", "2021-07-01T12:00:00+02:00"),
        ("20210101", "1200", "2021-01-01T12:00:00+01:00"),
        ("20211031", "0230", "2021-10-31"),  # the hour comes twice
        ("20210328", "0230", "2021-03-28"),  # the hour is skipped
        ("20210328", "0300", "2021-03-28T03:00:00+02:00"),
        ("18900101", "1200", "1890-01-01"),  # local mean time, not in whole minutes
    ],
)
def test_the_zone_of_the_source_at_the_studys_own_date(date: str, time: str, expected: str) -> None:
    assert _started(profile=BERLIN, StudyDate=date, StudyTime=time) == expected


def test_the_data_sets_offset_comes_before_the_sources_zone() -> None:
    rest = {"StudyDate": "20210701", "StudyTime": "1200", "TimezoneOffsetFromUTC": "-0500"}
    assert _started(profile=BERLIN, **rest) == "2021-07-01T12:00:00-05:00"


def test_a_bad_offset_leaves_the_sources_zone() -> None:
    rest = {"StudyDate": "20210701", "StudyTime": "1200", "TimezoneOffsetFromUTC": "CEST"}
    assert _started(profile=BERLIN, **rest) == "2021-07-01T12:00:00+02:00"


@pytest.mark.parametrize("date", [None, "", "00010101", "20219999"])
def test_without_a_date_there_is_no_time_either(date: str | None) -> None:
    assert _started(StudyDate=date, StudyTime="1200", TimezoneOffsetFromUTC="+0000") is None


def test_a_partial_date_stays_partial_beside_a_time() -> None:
    assert _started(StudyDate="202107", StudyTime="1200", TimezoneOffsetFromUTC="+0000") == "2021-07"


@pytest.mark.parametrize(
    ("value", "of", "expected"),
    [
        ("2021-07-01", "2021", True),
        ("2021-07-01T10:00:00Z", "2021-07-01", True),
        ("2021-07-01", "2021-07-01", False),
        ("2021-07-01", "2021-0", False),
        ("2021-07-02T10:00:00Z", "2021-07-01", False),
    ],
)
def test_refinement(value: str, of: str, expected: bool) -> None:
    assert is_refinement(value, of) is expected
