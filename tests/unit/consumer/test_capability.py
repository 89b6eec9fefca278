"""What a CapabilityStatement must say, what it should, and statements of no shape at all."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from dicomcast_consumer.capability import capability_of, require_capability, search_doubts, write_doubts
from dicomcast_consumer.mapping_options import MappingOptions
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_sandbox.fhir.capability import capability_statement
from hypothesis import given
from hypothesis import strategies as st

PLAIN = MappingOptions()
DOSES = MappingOptions(observations="dose")
Statement = dict[str, Any]


def resource(statement: Statement, name: str) -> Statement:
    found: Statement = next(one for one in statement["rest"][0]["resource"] if one["type"] == name)
    return found


def with_change(change: Callable[[Statement], object]) -> Statement:
    statement = copy.deepcopy(capability_statement("http://fhir"))
    change(statement)
    return statement


def doubts(statement: Statement, options: MappingOptions = PLAIN) -> str:
    capability = capability_of(statement)
    require_capability(capability, options)
    return " ".join((*search_doubts(capability, options), *write_doubts(capability, options)))


def test_the_stand_in_says_all_that_is_needed() -> None:
    assert doubts(capability_statement("http://fhir"), DOSES) == ""


def drop(name: str) -> Callable[[Statement], object]:
    return lambda statement: statement["rest"][0]["resource"].remove(resource(statement, name))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.update(fhirVersion="5.0.0"), "FHIR 5.0.0, R4"),
        (lambda s: s.pop("fhirVersion"), "no stated version"),
        (lambda s: s["rest"][0].update(interaction=[{"code": "batch"}]), "no transaction"),
        (drop("ImagingStudy"), "no ImagingStudy"),
        (drop("Endpoint"), "no Endpoint"),
        (drop("Observation"), "no Observation"),
    ],
)
def test_without_these_nothing_works(change: Callable[[Statement], object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        require_capability(capability_of(with_change(change)), DOSES)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: resource(s, "Patient").update(conditionalCreate=False), "no conditional create of Patient"),
        (lambda s: resource(s, "ImagingStudy").update(versioning="no-version"), "no versions of ImagingStudy"),
        (lambda s: resource(s, "Endpoint").pop("versioning"), "no versions of Endpoint"),
        (lambda s: resource(s, "ImagingStudy").update(interaction=[{"code": "read"}]), "delete ImagingStudy"),
        (lambda s: resource(s, "Endpoint").update(searchParam=[{"name": "name"}]), r"Endpoint\?identifier"),
    ],
)
def test_what_it_does_not_promise_is_a_doubt(change: Callable[[Statement], object], says: str) -> None:
    statement = with_change(change)
    require_capability(capability_of(statement), PLAIN)
    assert says.replace("\\", "") in doubts(statement)


def test_observations_matter_only_where_doses_are_mapped() -> None:
    assert doubts(with_change(drop("Observation")), PLAIN) == ""


def test_a_server_that_lists_no_types_is_not_taken_to_have_none() -> None:
    assert doubts({"fhirVersion": "4.0.1", "rest": [{"interaction": [{"code": "transaction"}]}]}) == ""


NAMES = st.sampled_from(["rest", "resource", "interaction", "searchParam", "type", "code", "name", "fhirVersion"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)


@given(st.dictionaries(NAMES, JSON))
def test_any_shape_is_understood_as_far_as_it_goes(statement: Statement) -> None:
    capability = capability_of(statement)
    search_doubts(capability, DOSES)
    write_doubts(capability, DOSES)
