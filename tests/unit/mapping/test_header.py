"""What an event's data set says is read once for the instances that say the same: never for those that do not."""

import json
from typing import Any

import pytest
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import InstanceChange, MappingOptions, SourceProfile, read, read_event
from dicomcast_consumer.mapping.header import Header, Readings
from dicomcast_schemas import DicomChangeEvent
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mapping.scene import OPTIONS, PROFILE, SERIES, STUDY, URL, data_set, event
from tests.unit.mapping.test_properties import any_options, data_sets


def _read(one: DicomChangeEvent, options: MappingOptions) -> InstanceChange | str:
    try:
        return read_event(one, profile=PROFILE, options=options)
    except RejectedError as error:
        return error.code


@settings(max_examples=60, deadline=None)
@given(st.lists(data_sets, min_size=2, max_size=6), any_options)
def test_reading_after_others_is_reading_alone(found: list[dict[str, Any]], options: MappingOptions) -> None:
    usual = data_set(StudyDescription="X", PatientSex="M")
    for uid in ("00080018", "0020000D", "0020000E"):
        del usual[uid]
    events = [event(n, metadata={**usual, **one}) for n, one in enumerate(found)]
    together = [_read(one, options) for one in events]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "_READINGS", Readings[Any](most=0))
        assert [_read(one, options) for one in events] == together


def test_instances_that_say_the_same_share_it_and_keep_what_is_their_own() -> None:
    one, other = (
        read_event(event(n, instance=f"1.2.9.{n}", InstanceNumber=n, PatientSex="?"), profile=PROFILE, options=OPTIONS)
        for n in (1, 2)
    )
    assert (one.patient, one.study, one.series) == (other.patient, other.study, other.series)
    assert one.patient is other.patient
    assert [change.instance.number for change in (one, other) if change.instance] == [1, 2]
    assert [omission.sop_instance_uid for change in (one, other) for omission in change.omissions] == [
        "1.2.9.1",
        "1.2.9.2",
    ]


def test_other_options_and_another_profile_read_anew() -> None:
    one = event(1, StudyDate="20200131", StudyTime="1200")
    other = SourceProfile(feed="pacs", dicomweb_url=URL, timezone="Europe/Berlin")
    found = [
        read_event(one, profile=PROFILE, options=OPTIONS),
        read_event(one, profile=other, options=OPTIONS),
        read_event(one, profile=PROFILE, options=MappingOptions(unknown_tz="assume-utc")),
    ]
    assert [change.study.started for change in found if change.study] == [
        "2020-01-31",
        "2020-01-31T12:00:00+01:00",
        "2020-01-31T12:00:00+00:00",
    ]


def test_readings_are_bounded_in_number_and_size() -> None:
    readings, made = Readings[int](most=2), 0

    def read_description(description: str, key: str) -> int:
        header = Header(json.dumps(data_set(StudyDescription=description)), "1")

        def make() -> int:
            nonlocal made
            made += 1
            header.text("00081030", "StudyDescription")
            return made

        return readings.read(header, make, key=key, context=())

    assert [read_description("X", key) for key in "abab"] == [1, 2, 1, 2]
    assert [read_description("X", key) for key in "cba"] == [3, 2, 4]
    assert [read_description("X" * 20_000, "a") for _ in range(2)] == [5, 6]
    assert read_description("X", "a") == 4


@pytest.mark.parametrize("value", ["NaN", '"\\ud800"', "1e400"])
def test_an_attribute_that_is_read_may_hold_what_json_forbids(value: str) -> None:
    text = json.dumps(data_set())[:-1] + f', "00200011": {{"vr": "IS", "Value": [{value}]}}}}'
    found = read_event(event(metadata=text), profile=PROFILE, options=OPTIONS)
    assert [omission.attribute for omission in found.omissions] == ["SeriesNumber"]


def test_attributes_in_lower_case_and_those_given_twice() -> None:
    usual = data_set()
    text = json.dumps({tag.lower(): element for tag, element in usual.items()})
    assert read_event(event(metadata=text), profile=PROFILE, options=OPTIONS).series_instance_uid == SERIES
    twice = json.dumps(usual)[:-1] + ', "0020000D": {"vr": "UI", "Value": ["9.9"]}}'
    assert STUDY != "9.9"
    with pytest.raises(RejectedError, match="uid_mismatch"):
        read_event(event(metadata=twice), profile=PROFILE, options=OPTIONS)
