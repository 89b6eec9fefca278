"""pydicom's files, damaged: what is mapped of them is still valid R4, and the rest is rejected, never raised."""

import json
from dataclasses import replace
from typing import Any

from dicomcast_consumer.mapping import MappingOptions
from dicomcast_schemas import DicomChangeEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from tests.contract.validator.choices import everything, profile
from tests.contract.validator.mapped import MAPPED, map_events, pydicom_events
from tests.contract.validator.verdicts import faults
from tests.services.judge import Validator

TAGS = [f"{tag_for_keyword(keyword):08X}" for keyword in MAPPED]
ANYTHING = st.one_of(
    st.text(max_size=12),
    st.text(alphabet="^=\\ .:-+0123456789MFORLB", max_size=12),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.none(),
    st.booleans(),
    st.dictionaries(st.sampled_from(["Alphabetic", "Ideographic", "Phonetic", *TAGS]), st.text(max_size=5), max_size=2),
)


def _damaged_text(draw: st.DrawFn, text: str) -> str:
    """The text with something cut out and something put in."""
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, len(text)))
    return text[:start] + draw(st.text(max_size=3) | st.text(alphabet="^=\\ .:-\x00", max_size=3)) + text[end:]


def _damaged(draw: st.DrawFn, value: Any) -> Any:
    """A value of DICOM JSON with one thing in it, however deep, made something else."""
    if isinstance(value, dict) and value and draw(st.booleans()):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: _damaged(draw, value[key])}
    if isinstance(value, list) and value and draw(st.booleans()):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], _damaged(draw, value[place]), *value[place + 1 :]]
    if isinstance(value, str) and draw(st.booleans()):
        return _damaged_text(draw, value)
    return draw(ANYTHING)


@st.composite
def damaged_events(draw: st.DrawFn) -> list[DicomChangeEvent]:
    """A few instances, each with a few attributes damaged or come from another file."""
    found = []
    for sequence in range(1, 7):
        event = draw(st.sampled_from(pydicom_events()))
        assert event.metadata is not None
        data_set = json.loads(event.metadata)
        other = json.loads(draw(st.sampled_from(pydicom_events())).metadata or "{}")
        for tag in draw(st.lists(st.sampled_from(TAGS), min_size=1, max_size=5, unique=True)):
            element = data_set.get(tag) or other.get(tag) or {"vr": "LO", "Value": ["1"]}
            data_set[tag] = _damaged(draw, element)
        found.append(replace(event, sequence=sequence, metadata=json.dumps(data_set)))
    return found


@settings(max_examples=25, deadline=None)
@given(damaged_events(), st.sampled_from([MappingOptions(missing_patient_id="placeholder"), everything()]))
def test_damaged_files_make_valid_resources(
    validator: Validator, events: list[DicomChangeEvent], options: MappingOptions
) -> None:
    mapped = map_events(events, options, profile(timezone="Europe/Berlin"))
    assert faults(validator, mapped.resources) == set()
    assert len(mapped.changes) + len(mapped.rejected) >= len(events)
    assert "map.invalid_resource" not in mapped.rejected
