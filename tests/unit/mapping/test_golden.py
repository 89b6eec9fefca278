"""The golden cases: tests/data/mapping/<case>/{input,expected}, which its README explains."""

import json
import os
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from dicomcast_consumer import exact_json
from dicomcast_consumer.errors import RejectedError
from dicomcast_consumer.mapping import MappingOptions, Omission, SourceProfile, read_event
from dicomcast_schemas import Action, DicomChangeEvent, State

from tests.unit.mapping.scene import URL, Scene, attributes, event

CASES = Path(__file__).parents[2] / "data" / "mapping"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


def _load(path: Path, default: Any) -> Any:
    return exact_json.loads(path.read_text(encoding="utf-8")) if path.exists() else default


def _text(content: Any) -> str:
    return exact_json.dumps(content, option=orjson.OPT_INDENT_2).decode()


def _data_set(given: dict[str, Any]) -> dict[str, Any]:
    by_tag = {name: element for name, element in given.items() if re.fullmatch(r"[0-9A-Fa-f]{8}", name)}
    by_keyword = {name: value for name, value in given.items() if name not in by_tag}
    return {**attributes(**by_keyword), **by_tag}


def _event(entry: dict[str, Any], common: dict[str, Any]) -> DicomChangeEvent:
    data_set = {**common, **entry.get("data_set", {})}
    action = Action(entry["action"])
    return event(
        entry["sequence"],
        action=action,
        state=State(entry.get("state", "DELETED" if action is Action.DELETE else "CURRENT")),
        study=data_set["StudyInstanceUID"],
        series=data_set["SeriesInstanceUID"],
        instance=data_set["SOPInstanceUID"],
        metadata=None if action is Action.DELETE else _data_set(data_set),
    )


def _run(case: Path) -> tuple[Scene, dict[str, Any]]:
    """The FHIR server afterwards, and what there is to report."""
    given = case / "input"
    options = MappingOptions.model_validate(_load(given / "options.json", {}))
    source = {"feed": "pacs", "dicomweb_url": URL, **_load(given / "source.json", {})}
    scene = Scene(*_load(given / "fhir.json", []), options=options, profile=SourceProfile.model_validate(source))
    events = json.loads((given / "events.json").read_text(encoding="utf-8"))
    left_out: list[dict[str, Any]] = []
    rejected: list[str] = []
    passed_over: list[str] = []
    for entry in events["events"]:
        try:
            change = read_event(_event(entry, events["common"]), profile=scene.profile, options=options)
            passed_over += [change.skip_reason] if change.skip_reason else []
            left_out += [_omission(omission) for omission in change.omissions]
            scene.apply([change])
        except RejectedError as error:
            rejected.append(error.code)
    found = {
        "passed_over": passed_over,
        "left_out": left_out,
        "rejected": rejected + scene.rejected,
        "reported": scene.report,
    }
    return scene, {name: entries for name, entries in found.items() if entries}


def _omission(omission: Omission) -> dict[str, Any]:
    found: dict[str, Any] = {"attribute": omission.attribute, "reason": omission.reason}
    return {**found, "mapped": True} if omission.is_mapped else found


def _resources(scene: Scene) -> dict[str, Any]:
    found = {f"Patient-{number}.json": patient for number, patient in scene.patients.items()}
    found |= {f"Observation-{number}.json": one for number, one in enumerate(_in_order(scene.observations), start=1)}
    if scene.study is not None:
        found["ImagingStudy.json"] = scene.study
    return found


def _in_order(observations: dict[str, Any]) -> list[dict[str, Any]]:
    """Summaries first, then events, each by UID."""
    return [
        observations[uid] for uid in sorted(observations, key=lambda uid: ("hasMember" not in observations[uid], uid))
    ]


def _without_meta(resource: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if name not in ("meta", "id")}


def _update(folder: Path, found: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    for path in folder.glob("*.json"):
        if path.name not in found:
            path.unlink()
    for name, content in found.items():
        known = _load(folder / name, {})
        content = content if name == "report.json" or "meta" in known else _without_meta(content)
        (folder / name).write_text(_text(content) + "\n", encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_case(name: str) -> None:
    case = CASES / name
    reason = (case / "reason.txt").read_text(encoding="utf-8")
    assert len(reason.strip().splitlines()) == 1
    scene, report = _run(case)
    found = _resources(scene) | ({"report.json": report} if report else {})
    if os.environ.get("UPDATE_GOLDEN"):
        _update(case / "expected", found)
    expected = {path.name: _load(path, None) for path in sorted((case / "expected").glob("*.json"))}
    assert found.keys() == expected.keys()
    for file, content in expected.items():
        result = found[file]
        result = result if file == "report.json" or "meta" in content else _without_meta(result)
        assert _text(result) == _text(content)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_events_again_end_the_same(name: str) -> None:
    scene, _ = _run(CASES / name)
    events = json.loads((CASES / name / "input" / "events.json").read_text(encoding="utf-8"))
    before = scene.content()
    for entry in events["events"]:
        try:
            change = read_event(_event(entry, events["common"]), profile=scene.profile, options=scene.options)
        except RejectedError:
            continue
        if entry["action"] != "DELETE" and not any(e["action"] == "DELETE" for e in events["events"]):
            scene.apply([change])
    assert scene.content() == before
