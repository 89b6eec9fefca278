"""The instances of a DICOM server held against those of an ImagingStudy."""

from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions, Resource
from dicomcast_consumer.verify import Finding, StudyVerdict, compare
from dicomcast_consumer.web.study_view import held
from dicomcast_schemas import Action, State

from tests.unit.mapping.scene import STUDY, Scene, event

UIDS = ("1.2.3.1.1", "1.2.3.1.2", "1.2.3.2.1")


def _scene(instances: str) -> Scene:
    scene = Scene(options=MappingOptions.model_validate({"instances": instances}))
    scene.send(*(event(n, series=uid[:7], instance=uid) for n, uid in enumerate(UIDS, start=1)))
    return scene


def _verdict(study: Resource, *uids: str) -> StudyVerdict:
    return compare(STUDY, [(uid[:7], uid) for uid in uids], (study,))


@pytest.mark.parametrize("instances", ["all", "none"])
def test_a_study_that_has_all_instances_is_the_same_whether_it_lists_them_or_not(instances: str) -> None:
    scene = _scene(instances)
    verdict = _verdict(scene.imaging_study, *UIDS)
    assert (verdict.same, verdict.on_dicom, verdict.on_fhir) == (True, 3, 3)
    assert held(scene.imaging_study).instances == 3


@pytest.mark.parametrize("instances", ["all", "none"])
def test_what_is_missing_is_named_and_same_once_it_is_applied(instances: str) -> None:
    scene = _scene(instances)
    new = ("1.2.3.2", "1.2.3.2.2")
    assert _verdict(scene.imaging_study, *UIDS, new[1]).findings == (Finding("missing", new),)
    scene.send(event(0, series=new[0], instance=new[1]))
    assert _verdict(scene.imaging_study, *UIDS, new[1]).same


@pytest.mark.parametrize(("instances", "uid"), [("all", UIDS[1]), ("none", "")])
def test_what_is_extra_is_counted_where_it_is_not_listed(instances: str, uid: str) -> None:
    study = _scene(instances).imaging_study
    verdict = _verdict(study, UIDS[0], UIDS[2])
    assert verdict.findings == (Finding("extra", ("1.2.3.1", uid)),)
    document: dict[str, Any] = {"kind": "extra", "seriesInstanceUid": "1.2.3.1"}
    assert verdict.document()["findings"] == [{**document, "sopInstanceUid": uid} if uid else document]
    assert _verdict(study).findings == (Finding("extra"),)


def test_an_instance_that_is_in_another_series_is_missing_and_extra() -> None:
    study = _scene("none").imaging_study
    verdict = compare(STUDY, [("1.2.3.2" if uid == UIDS[0] else uid[:7], uid) for uid in UIDS], (study,))
    assert verdict.findings == (Finding("missing", ("1.2.3.2", UIDS[0])), Finding("extra", ("1.2.3.1", "")))


def test_what_is_there_twice_is_different() -> None:
    study = _scene("none").imaging_study
    study["series"][0]["instance"] = [{"uid": UIDS[0]}]
    verdict = _verdict(study, *UIDS)
    assert verdict.findings == (
        Finding("different", ("1.2.3.1", UIDS[0]), "series.instance"),
        Finding("different", element="numberOfInstances"),
    )


def test_a_study_that_is_listed_again_is_still_the_same() -> None:
    scene = _scene("none")
    scene.options = MappingOptions()
    scene.send(event(5, series="1.2.3.2", instance="1.2.3.2.2"))
    assert _verdict(scene.imaging_study, *UIDS, "1.2.3.2.2").same
    scene.send(event(6, action=Action.DELETE, state=State.DELETED, series="1.2.3.1", instance=UIDS[0]))
    assert _verdict(scene.imaging_study, *UIDS[1:], "1.2.3.2.2").same
