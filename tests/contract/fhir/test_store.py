"""The law of the sandbox's store: a refused request leaves no trace, in content or in what searches find."""

from __future__ import annotations

import pytest
from dicomcast_sandbox.fhir import Key, Store, Version
from hypothesis import given
from hypothesis import strategies as st

IDS = ["1", "2", "3"]
VALUES = ["a", "b"]
Change = tuple[str, str | None, str | None]
"""Id, identifier (None: a deletion), the id that it refers to."""


@st.composite
def changes(draw: st.DrawFn) -> list[Change]:
    change = st.tuples(st.sampled_from(IDS), st.sampled_from([*VALUES, None]), st.sampled_from([*IDS, None]))
    return draw(st.lists(change, max_size=8))


def apply(store: Store, made: list[Change]) -> None:
    for id_, value, target in made:
        key = Key("Patient", id_)
        latest = store.latest(key)
        resource = None if value is None else {"resourceType": "Patient", "id": id_, "identifier": [{"value": value}]}
        targets = frozenset({Key("Patient", target)} if target and resource else ())
        number = 1 if latest is None else latest.number + 1
        store.append(
            Version(key=key, number=number, at="2024-01-01T00:00:00Z", method="PUT", resource=resource, targets=targets)
        )


def refuse(store: Store, made: list[Change]) -> None:
    with store.all_or_nothing():
        apply(store, made)
        raise ZeroDivisionError


def view(store: Store) -> object:
    """All that the outside can see; the order of creation apart."""
    keys = [Key("Patient", id_) for id_ in IDS]
    return (
        [store.versions(key) for key in keys],
        {one.key for one in store.all("Patient")},
        [{one.key for one in store.with_identifier("Patient", value)} for value in VALUES],
        [set(store.referrers(key)) for key in keys],
        store.counts(),
    )


@given(before=changes(), refused=changes())
def test_a_refused_request_leaves_no_trace(before: list[Change], refused: list[Change]) -> None:
    store, same = Store(), Store()
    apply(store, before)
    apply(same, before)
    with pytest.raises(ZeroDivisionError):
        refuse(store, refused)
    assert view(store) == view(same)


def test_an_update_keeps_the_order_of_creation() -> None:
    store = Store()
    apply(store, [("1", "a", None), ("2", "a", None), ("1", "b", None)])
    assert [version.key.id for version in store.all("Patient")] == ["1", "2"]
