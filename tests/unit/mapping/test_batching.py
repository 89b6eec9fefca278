"""The law of batching, held against generated histories of a study.

The events of a study in the order of the feed, one by one or in any runs, once or each twice in a row, end in the same
resources, byte for byte but for meta, and in the same rejections; a replay of them as well, in any other runs. So it is
whatever their PatientIDs are, and though the study or its series run empty on the way.

What a replay does to a study that it meets as it ended, not as it began, is a law of its own, and holds for less: see
test_a_replay_from_the_beginning_ends_the_same.
"""

from typing import Any, NamedTuple

from dicomcast_consumer.mapping import MappingOptions
from dicomcast_schemas import Action, DicomChangeEvent, State
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mapping.scene import Scene, event
from tests.unit.mapping.test_properties import EVERYTHING, SAYS, SAYS_MORE, batches

OPTIONS = [
    EVERYTHING,
    EVERYTHING.model_copy(update={"patient_conflict": "reject"}),
    *(
        MappingOptions.model_validate({"patient_conflict": conflict, "instances": instances})
        for conflict in ("reject", "report")
        for instances in ("all", "none")
    ),
]
ACTIONS = [Action.CREATE, Action.UPDATE, Action.DELETE, Action.DELETE]


class Case(NamedTuple):
    """A history, and runs of it."""

    options: MappingOptions
    history: list[DicomChangeEvent]
    runs: list[list[DicomChangeEvent]]
    runs_of_a_replay: list[list[DicomChangeEvent]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Few instances, in few series, of few patients: anything may follow on anything."""
    options = draw(st.sampled_from(OPTIONS))
    with_placeholders = options.missing_patient_id == "placeholder"
    patients = ["P1", "P2", "P3", *([None] if with_placeholders else [])]
    history: list[DicomChangeEvent] = []
    for sequence in range(1, 1 + draw(st.integers(1, 9))):
        action = draw(st.sampled_from(ACTIONS))
        said: dict[str, Any] = {}
        if action is not Action.DELETE:
            said = {"Modality": None, "PatientID": draw(st.sampled_from(patients))}
            for say in draw(st.lists(st.sampled_from(SAYS_MORE if with_placeholders else SAYS), max_size=3)):
                said.update(say(sequence))
        history.append(
            event(
                sequence,
                action=action,
                state=State.DELETED if action is Action.DELETE else State.CURRENT,
                series=draw(st.sampled_from(["1.2.1", "1.2.2"])),
                instance=draw(st.sampled_from(["1.2.9.1", "1.2.9.2", "1.2.9.3"])),
                **said,
            )
        )
    return Case(options, history, batches(draw, history), batches(draw, history))


def _end(scene: Scene, runs: list[list[DicomChangeEvent]]) -> tuple[str, set[tuple[int, str]]]:
    """What there is after these runs, and what they rejected."""
    rejected = [found for run in runs for found in scene.send(*run).rejected]
    return scene.content(), {(change.mark.sequence, error.code) for change, error in rejected}


@settings(max_examples=200, deadline=None)
@given(cases())
def test_batching_changes_nothing_at_all_nor_does_that_of_a_replay(case: Case) -> None:
    one_by_one, batched = Scene(options=case.options), Scene(options=case.options)
    each = [[one] for one in case.history]
    assert _end(batched, case.runs) == _end(one_by_one, each)
    assert _end(batched, case.runs_of_a_replay) == _end(one_by_one, each)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_events_that_come_twice_in_a_row_count_once(case: Case) -> None:
    once, twice = Scene(options=case.options), Scene(options=case.options)
    each = [[one] for one in case.history]
    assert _end(twice, [run for run in each for _ in range(2)]) == _end(once, each)
