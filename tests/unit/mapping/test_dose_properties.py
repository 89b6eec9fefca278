"""Laws of dose reports, held against reports that are damaged at random and against histories of several reports."""

import json
from copy import deepcopy
from typing import Any

from dicomcast_consumer.mapping import InstanceChange, Kind, MappingOptions, read_event, validate_new
from dicomcast_schemas import Action, DicomChangeEvent, State
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.mapping.dose_reports import (
    RADIOPHARMACEUTICAL_ROOT,
    accumulated,
    coded,
    container,
    ct_report,
    moment,
    num,
    plane,
    report,
    uid,
    xray_event,
)
from tests.unit.mapping.scene import PROFILE, Scene, code, data_set, event

DOSE = MappingOptions(observations="dose")
CONTENT = "0040A730"
REPORTS = [
    ct_report("1.2.7.1", "1.2.7.2"),
    report(
        accumulated(num("113722", "1.6e-005", "Gym2"), plane=plane("113620", "Plane A")),
        accumulated(num("113725", 0.25, "Gy"), plane=plane("113621", "Plane B")),
        xray_event("1.2.7.1", num("113738", "0.1", "Gy"), coded("123014", code("T-D3000", "SRT", "Chest"))),
    ),
    report(
        container(
            "113502",
            coded("349358000", code("C-B1031", "SRT", "FDG"), coded("89457008", code("C-111A1", "SRT", "F18"))),
            uid("1.2.7.1", "113503"),
            moment("20240501090000", "123003"),
            num("113507", "250.5", "MBq"),
        ),
        root=RADIOPHARMACEUTICAL_ROOT,
    ),
]
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(
        ["113702", "113706", "113769", "1.2.7.1", "1.2.3.1.1", "20240501", "HAS CONCEPT MOD", "UCUM", "1e9"]
    ),
    st.just({}),
    st.just([]),
    st.just({"vr": "SQ", "Value": [[{}], 3, {"00080100": "113702"}]}),
)


def _slots(node: Any) -> list[tuple[Any, Any]]:
    """Every place in a tree of JSON, as the node and the key in it."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node))) if isinstance(node, list) else []
    return [slot for key in keys for slot in [(node, key), *_slots(node[key])]]


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A report whose content was damaged in up to eight places: taken away, replaced, doubled, put in itself."""
    found = deepcopy(data_set(**draw(st.sampled_from(REPORTS))))
    for _ in range(draw(st.integers(0, 8))):
        slots = _slots({CONTENT: found[CONTENT]})[1:]
        if not slots:
            break
        node, key = slots[draw(st.integers(0, len(slots) - 1))]
        match draw(st.sampled_from(["take", "replace", "double", "nest"])):
            case "take":
                del node[key]
            case "replace":
                node[key] = deepcopy(draw(odd))
            case "double" if isinstance(node, list):
                node.append(deepcopy(node[key]))
            case _ if isinstance(node[key], dict):
                node[key] = {**node[key], CONTENT: {"vr": "SQ", "Value": [deepcopy(node[key])]}}
    return found


@settings(max_examples=100)
@given(damaged())
def test_a_damaged_report_rejects_nothing_and_what_is_made_of_it_is_valid(metadata: dict[str, Any]) -> None:
    text = json.dumps(metadata)
    change = read_event(event(1, metadata=text), profile=PROFILE, options=DOSE)
    assert change.kind is Kind.UPSERT
    scene = Scene(options=DOSE)
    scene.send(event(0, instance="1.2.3.1.0"))
    scene.apply([change])
    assert scene.study is not None
    assert (scene.study["numberOfInstances"], scene.rejected, scene.report) == (2, [], [])
    for observation in scene.observations.values():
        validate_new(observation)
        assert not [key for node, key in _slots(observation) if node[key] in (None, "", [], {})]
    writes = scene.writes
    scene.apply([change])
    assert scene.writes == writes, "a replay writes nothing"
    scene.send(event(2, action=Action.DELETE, state=State.DELETED))
    assert scene.observations == {}


REPORT_UIDS = ("1.2.3.9.1", "1.2.3.9.2", "1.2.3.9.3")
EVENT_UIDS = ("1.2.7.1", "1.2.7.2", "1.2.7.3")


@st.composite
def histories(draw: st.DrawFn) -> list[DicomChangeEvent]:
    """An image, then creates, updates and deletes of three reports that share events.

    What a report says of an event depends on the event alone: of one that stays when the newest report of it is
    deleted, the value stays as that report had it.
    """
    found = [event(1)]
    there: set[str] = set()
    for sequence in range(2, 2 + draw(st.integers(1, 7))):
        instance = draw(st.sampled_from(REPORT_UIDS))
        action = draw(st.sampled_from([Action.UPDATE, Action.DELETE])) if instance in there else Action.CREATE
        (there.discard if action is Action.DELETE else there.add)(instance)
        named = draw(st.lists(st.sampled_from(EVENT_UIDS), unique=True))
        said = report(
            accumulated(num("113725", str(sequence), "Gy")),
            *(xray_event(one, num("113738", one[-1], "Gy")) for one in named),
        )
        state = State.DELETED if action is Action.DELETE else State.CURRENT
        rest = {} if action is Action.DELETE else said
        found.append(event(sequence, action=action, state=state, series="1.2.3.9", instance=instance, **rest))
    return found


def _read(events: list[DicomChangeEvent]) -> list[InstanceChange]:
    return [read_event(one, profile=PROFILE, options=DOSE) for one in events]


@settings(max_examples=60)
@given(st.data(), histories())
def test_any_order_across_reports_and_any_runs_end_the_same(
    data: st.DataObject, history: list[DicomChangeEvent]
) -> None:
    one_by_one = Scene(options=DOSE)
    one_by_one.send_each(*history)
    queues: dict[str, list[DicomChangeEvent]] = {}
    for one in history[1:]:
        queues.setdefault(one.sop_instance_uid, []).append(one)
    shuffled = [history[0]]
    while queues:
        name = data.draw(st.sampled_from(sorted(queues)))
        shuffled.append(queues[name].pop(0))
        if not queues[name]:
            del queues[name]
    other = Scene(options=DOSE)
    cut = data.draw(st.integers(0, len(shuffled)))
    for run in (shuffled[:cut], shuffled[cut:]):
        if run:
            other.apply(_read(run))
    assert other.content() == one_by_one.content()
    writes = other.writes
    other.apply(_read(history))
    assert other.writes == writes, "the whole history again, folded, writes nothing"


@settings(max_examples=60)
@given(histories())
def test_there_is_what_the_reports_that_are_left_name(history: list[DicomChangeEvent]) -> None:
    scene = Scene(options=DOSE)
    scene.send_each(*history)
    last = {one.sop_instance_uid: change for one, change in zip(history, _read(history), strict=True)}
    left = {name: change.dose for name, change in last.items() if change.dose is not None}
    assert scene.observations.keys() == {*left, *(one.uid for dose in left.values() for one in dose.events)}
