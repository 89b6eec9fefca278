"""Radiation dose reports through a whole member, on the sandbox's FHIR server and on the real HAPI alike."""

import asyncio
import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from dicomcast_consumer.mapping import MappingOptions, dose_study_token, study_token
from dicomcast_schemas import Action, DicomChangeEvent

from tests.fakes.events import FEED, record
from tests.fakes.fhir_server import fhir_server
from tests.fakes.member import Member, running_member
from tests.unit.mapping.dose_reports import ct_report
from tests.unit.mapping.scene import data_set, event

DOSE = MappingOptions(observations="dose")
Resource = dict[str, Any]


@pytest.fixture(scope="module", params=["sandbox", "hapi"])
def base_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Resources of other tests are on the server too."""
    if request.param == "hapi":
        yield request.getfixturevalue("hapi")
        return
    with fhir_server() as server:
        yield server.base_url


class Study:
    """One study of a test's own: its events, what a member makes of them, what the FHIR server has of it."""

    def __init__(self, base_url: str) -> None:
        self.uid = f"2.25.{uuid.uuid4().int}"
        self.base_url = base_url
        self._sequence = 0

    def event(self, instance: int, action: Action = Action.CREATE, **by_keyword: Any) -> DicomChangeEvent:
        """The next event, of an instance by number; a CT image unless the keywords say otherwise."""
        self._sequence += 1
        series = f"{self.uid}.9"
        uids = {"study": self.uid, "series": series, "instance": f"{series}.{instance}"}
        metadata = None
        if action is not Action.DELETE:
            metadata = data_set(
                StudyInstanceUID=self.uid,
                SeriesInstanceUID=series,
                SOPInstanceUID=uids["instance"],
                **{"PatientID": self.uid[-20:], **by_keyword},
            )
        return event(self._sequence, action=action, feed=FEED, metadata=metadata, **uids)

    def report(self, instance: int, *events: int, action: Action = Action.CREATE, **rest: Any) -> DicomChangeEvent:
        """A CT dose report with irradiation events by number."""
        return self.event(instance, action, **ct_report(*(f"{self.uid}.7.{n}" for n in events), **rest))

    def apply(self, *events: DicomChangeEvent, options: MappingOptions = DOSE) -> None:
        """A member applies the events, one run after the other, and ends."""

        async def scenario() -> None:
            async with running_member(self.base_url, options=options) as member:
                await _each(member, events)
                assert member.source.letters == []

        asyncio.run(scenario())

    def found(self) -> tuple[list[Resource], list[Resource], list[Resource]]:
        """The ImagingStudy, the dose summaries, the irradiation events, each with meta."""
        studies = self.search("ImagingStudy", study_token(self.uid))
        observations = self.search("Observation", dose_study_token(self.uid))
        summaries = [one for one in observations if one["code"]["coding"][0]["code"] == "73569-6"]
        return studies, summaries, [one for one in observations if one not in summaries]

    def search(self, kind: str, token: str) -> list[Resource]:
        return [entry["resource"] for entry in json.loads(self.text(kind, token)).get("entry", [])]

    def text(self, kind: str, token: str) -> str:
        """The searchset as the server writes it; HAPI's own search cache is passed by."""
        headers = {"Cache-Control": "no-cache"}
        parameters = {"identifier": token, "_count": "200"}
        return httpx.get(f"{self.base_url}/{kind}", params=parameters, headers=headers, timeout=60).text

    def put(self, resource: Resource) -> None:
        """Somebody else writes."""
        url = f"{self.base_url}/{resource['resourceType']}/{resource['id']}"
        httpx.put(url, json=resource, timeout=60).raise_for_status()

    def post(self, resource: Resource) -> None:
        httpx.post(f"{self.base_url}/{resource['resourceType']}", json=resource, timeout=60).raise_for_status()


async def _each(member: Member, events: tuple[DicomChangeEvent, ...]) -> None:
    for offset, one in enumerate(events):
        member.source.produce([record(one, offset=offset)])
        await member.committed(offset + 1)


@pytest.fixture
def study(base_url: str) -> Study:
    return Study(base_url)


def _uids(observations: list[Resource]) -> set[str]:
    return {one["identifier"][0]["value"].rpartition(".")[2] for one in observations}


def test_a_report_becomes_a_summary_with_its_events(study: Study) -> None:
    study.apply(study.event(1), study.report(2, 1, 2))
    (imaging_study,), (summary,), events = study.found()
    assert [one["reference"] for one in summary["hasMember"]] == [
        f"Observation/{one['id']}" for one in sorted(events, key=lambda one: str(one["identifier"][0]["value"]))
    ]
    for observation in (summary, *events):
        assert observation["partOf"] == [{"reference": f"ImagingStudy/{imaging_study['id']}"}]
        assert observation["subject"] == imaging_study["subject"]
    text = "".join(study.text("Observation", dose_study_token(study.uid)).split())
    assert '"value":12.30,' in text, "the digits that DICOM wrote"
    assert '"value":456.70,' in text


def test_without_the_option_no_observation_is_made(study: Study) -> None:
    study.apply(study.report(1, 1), options=MappingOptions())
    (_,), summaries, events = study.found()
    assert (summaries, events) == ([], [])


def test_a_replay_writes_nothing_one_by_one_or_folded(study: Study) -> None:
    events = (study.event(1), study.report(2, 1), study.report(3, 1, 2), study.report(2, 1, 3, action=Action.UPDATE))
    study.apply(*events)
    before = study.found()
    study.apply(*events)
    assert study.found() == before

    async def at_once() -> None:
        async with running_member(study.base_url, options=DOSE) as member:
            member.source.produce([record(one, offset=offset) for offset, one in enumerate(events)])
            await member.committed(len(events))

    asyncio.run(at_once())
    assert study.found() == before


def test_an_updated_report_is_rewritten_and_loses_the_event_it_has_no_more(study: Study) -> None:
    study.apply(study.report(1, 1, 2))
    study.apply(study.report(1, 2, 3, action=Action.UPDATE, dlp="1.00"))
    _, (summary,), events = study.found()
    assert _uids(events) == {"2", "3"}
    assert "1.00 mGy.cm" in summary["valueString"]
    assert summary["meta"]["versionId"] == "2"


def test_a_deleted_report_takes_its_own_and_nothing_else(study: Study) -> None:
    study.apply(study.event(1), study.report(2, 1, 2), study.report(3, 2, 3))
    study.apply(study.event(2, Action.DELETE))
    (_,), summaries, events = study.found()
    assert (_uids(summaries), _uids(events)) == ({"3"}, {"2", "3"})
    study.apply(study.event(1, Action.DELETE))
    assert len(study.found()[2]) == 2, "the image has no dose of its own"


def test_with_the_last_instance_everything_goes(study: Study) -> None:
    study.apply(study.report(1, 1, 2))
    study.apply(study.event(1, Action.DELETE))
    assert study.found() == ([], [], [])


def test_a_study_is_deleted_though_doses_of_ours_hold_it_and_the_option_is_off(study: Study) -> None:
    study.apply(study.report(1, 1))
    study.apply(study.event(1, Action.DELETE), options=MappingOptions())
    assert study.found() == ([], [], [])


def test_an_observation_that_others_refer_to_stays_and_holds_nothing_up(study: Study) -> None:
    study.apply(study.event(1), study.report(2, 1, 2))
    _, _, events = study.found()
    referenced = next(one for one in events if one["identifier"][0]["value"].endswith(".1"))
    study.post(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "reviewed"},
            "hasMember": [{"reference": f"Observation/{referenced['id']}"}],
        }
    )
    study.apply(study.event(2, Action.DELETE))
    _, summaries, events = study.found()
    assert (summaries, _uids(events)) == ([], {"1"})
    study.apply(study.event(1, Action.DELETE))
    (kept,), _, events = study.found()
    assert (kept["status"], kept["numberOfInstances"], _uids(events)) == ("registered", 0, {"1"})


def test_what_people_wrote_on_a_dose_stays(study: Study) -> None:
    events = (study.event(1), study.report(2, 1))
    study.apply(*events)
    _, (summary,), _ = study.found()
    edited = {
        **summary,
        "status": "entered-in-error",
        "note": [{"text": "wrong patient size"}],
        "category": [*summary["category"], {"text": "reviewed"}],
        "component": [*summary["component"], {"code": {"text": "size"}, "valueString": "L"}],
        "bodySite": {"text": "chest"},
    }
    study.put(edited)
    _, before, _ = study.found()
    study.apply(*events)
    assert study.found()[1] == before, "a replay over it writes nothing"
    study.apply(study.report(2, 1, action=Action.UPDATE, dlp="2.00"))
    _, (after,), _ = study.found()
    assert after["status"] == "entered-in-error"
    assert after["note"] == edited["note"]
    assert {"text": "reviewed"} in after["category"]
    assert after["component"][0] == {"code": {"text": "size"}, "valueString": "L"}
    assert "2.00 mGy.cm" in after["valueString"]


def test_the_dose_moves_with_the_study_to_another_patient(study: Study) -> None:
    study.apply(study.event(1), study.report(2, 1))
    study.apply(study.event(1, Action.UPDATE, PatientID=f"other-{study.uid[-20:]}"))
    (imaging_study,), summaries, events = study.found()
    assert [one["subject"] for one in (*summaries, *events)] == [imaging_study["subject"]] * 2


def test_one_event_reported_in_two_studies_is_an_observation_in_each(study: Study) -> None:
    other = Study(study.base_url)
    shared = ct_report(f"{study.uid}.7.1")
    study.apply(study.event(1, **shared))
    other.apply(other.event(1, **shared))
    assert [len(one.found()[2]) for one in (study, other)] == [1, 1]
    study.apply(study.event(1, Action.DELETE))
    assert [len(one.found()[2]) for one in (study, other)] == [0, 1]
