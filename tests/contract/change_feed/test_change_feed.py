"""The change feed API, v1 and v2: one contract, on the sandbox's server and on Orthanc with the plugin.

What it holds them to is the behaviour of the Microsoft DICOM server.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import httpx
import pytest
from dicomcast_consumer.neighbours import gives_another
from dicomcast_consumer.qido import study_instances
from dicomcast_runtime.dicomweb_client import InstanceGoneError, read_metadata

from tests.contract.change_feed.files import dicom_file, new_uid
from tests.contract.change_feed.peers import Entry, Peer
from tests.fakes.events import create

BULK_VRS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
MAX_LONG = 2**63 - 1


class TestParameters:
    @pytest.mark.parametrize(
        ("path", "query", "named"),
        [
            ("/v1/changefeed", {"offset": "-1"}, "offset"),
            ("/v1/changefeed", {"offset": "one"}, "offset"),
            ("/v1/changefeed", {"offset": ""}, "offset"),
            ("/v1/changefeed", {"offset": str(MAX_LONG + 1)}, "offset"),
            ("/v1/changefeed", {"limit": "0"}, "limit"),
            ("/v1/changefeed", {"limit": "-1"}, "limit"),
            ("/v1/changefeed", {"limit": "101"}, "limit"),
            ("/v1/changefeed", {"limit": "1.5"}, "limit"),
            ("/v1/changefeed", {"includeMetadata": "0"}, "includeMetadata"),
            ("/v1/changefeed", {"includeMetadata": "true-ish"}, "includeMetadata"),
            ("/v1/changefeed", {"includeMetadata": "boolean"}, "includeMetadata"),
            ("/v1/changefeed/latest", {"includeMetadata": "asdf"}, "includeMetadata"),
            ("/v2/changefeed/latest", {"includeMetadata": "1"}, "includeMetadata"),
            ("/v2/changefeed", {"offset": "-1"}, "offset"),
            ("/v2/changefeed", {"limit": "0"}, "limit"),
            ("/v2/changefeed", {"limit": "201"}, "limit"),
            ("/v2/changefeed", {"startTime": "yesterday"}, "startTime"),
            ("/v2/changefeed", {"startTime": "2023-13-01T00:00:00Z"}, "startTime"),
            ("/v2/changefeed", {"endTime": "2023-02-30T00:00:00Z"}, "endTime"),
        ],
    )
    def test_bad_parameter_is_refused_by_name(self, peer: Peer, path: str, query: dict[str, str], named: str) -> None:
        answer = peer.http.get(path, params=query)
        assert answer.status_code == 400
        assert answer.headers["content-type"].startswith("text/plain")
        assert answer.text.startswith(f"The query parameter '{named}' is invalid. ")

    @pytest.mark.parametrize("name", ["startTime", "endTime"])
    @pytest.mark.parametrize("text", ["2023-05-03", "2023-05-03T10:58:00", "2023-05-03T10:58:00.1234567"])
    def test_time_without_zone_is_refused(self, peer: Peer, name: str, text: str) -> None:
        answer = peer.http.get("/v2/changefeed", params={name: text})
        assert answer.status_code == 400
        assert answer.text.endswith("Date and time value must specify a time zone.")

    @pytest.mark.parametrize("end", ["2023-05-03T10:58:00Z", "2023-05-03T12:57:59.9999999+02:00"])
    def test_window_must_have_a_width(self, peer: Peer, end: str) -> None:
        answer = peer.http.get("/v2/changefeed", params={"startTime": "2023-05-03T10:58:00Z", "endTime": end})
        assert answer.status_code == 400
        assert "must occur strictly before the end time" in answer.text

    def test_names_are_case_insensitive_and_unknown_ones_ignored(self, peer: Peer) -> None:
        assert peer.http.get("/v1/changefeed", params={"OFFSET": "x"}).status_code == 400
        assert peer.http.get("/v2/changefeed", params={"starttime": "x"}).status_code == 400
        assert peer.page(1, Limit=1, includemetadata="False", cursor="x", startTime="ignored by v1") is not None

    @pytest.mark.parametrize("offset", [MAX_LONG, MAX_LONG - 1])
    @pytest.mark.parametrize("version", [1, 2])
    def test_offset_beyond_everything_is_an_empty_page(self, peer: Peer, version: int, offset: int) -> None:
        assert peer.page(version, offset=offset) == []

    def test_version_is_part_of_the_path(self, peer: Peer) -> None:
        assert peer.http.get("/changefeed").status_code == 404
        assert peer.http.get("/v3/changefeed").status_code == 404
        assert peer.http.get("/v1.0-prerelease/changefeed", params={"limit": "101"}).status_code == 400


class TestEntries:
    def test_entry_has_the_documented_fields(self, peer: Peer) -> None:
        file = dicom_file()
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        (entry,) = peer.entries(file.study, metadata=True)
        assert entry.keys() - {"partitionName"} == {
            "sequence", "studyInstanceUid", "seriesInstanceUid", "sopInstanceUid",
            "action", "timestamp", "state", "metadata",
        }  # fmt: skip
        assert isinstance(entry["sequence"], int)
        assert (entry["studyInstanceUid"], entry["seriesInstanceUid"], entry["sopInstanceUid"]) == file.uids
        assert datetime.fromisoformat(entry["timestamp"]).tzinfo is not None
        assert len(entry["timestamp"]) == len("2023-05-03T10:58:00.1234567+00:00")

    def test_metadata_is_dicom_json_without_bulk_attributes(self, peer: Peer) -> None:
        file = dicom_file(PatientID="id 1,2", PatientName="Müller^Ä=山田^太郎", SpecificCharacterSet="ISO_IR 192")
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        (entry,) = peer.entries(file.study, metadata=True)
        metadata = entry["metadata"]
        assert metadata["00080018"] == {"vr": "UI", "Value": [file.sop]}
        assert metadata["00100020"] == {"vr": "LO", "Value": ["id 1,2"]}
        assert metadata["00100010"]["Value"] == [{"Alphabetic": "Müller^Ä", "Ideographic": "山田^太郎"}]
        assert metadata["00200013"] == {"vr": "IS", "Value": [1]}
        assert metadata["00080050"] == {"vr": "SH"}
        assert not bulk(metadata), "7FE00010 must be left out"

    def test_text_of_another_character_set_arrives_as_unicode(self, peer: Peer) -> None:
        file = dicom_file(PatientName="Jérôme^Ç", SpecificCharacterSet="ISO_IR 100")
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        (entry,) = peer.entries(file.study, metadata=True)
        assert entry["metadata"]["00100010"]["Value"] == [{"Alphabetic": "Jérôme^Ç"}]

    @pytest.mark.parametrize("name", ["test-SR.dcm", "rtplan.dcm", "MR_small.dcm", "waveform_ecg.dcm", "reportsi.dcm"])
    def test_other_kinds_of_files(self, peer: Peer, name: str) -> None:
        file = dicom_file(name)
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        (entry,) = peer.entries(file.study, metadata=True)
        assert entry["metadata"]["0020000E"]["Value"] == [file.series]
        assert not bulk(entry["metadata"])

    def test_without_metadata(self, peer: Peer) -> None:
        file = dicom_file()
        peer.store(file)
        (entry,) = peer.wait_for(file.study, ("Create", "Current"))
        assert "metadata" not in entry
        latest = peer.latest(2, includeMetadata="FALSE")
        assert latest is not None
        assert "metadata" not in latest

    def test_an_instance_without_patient_id_is_stored(self, peer: Peer) -> None:
        file = dicom_file(PatientID=None)
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        assert "00100020" not in peer.entries(file.study, metadata=True)[0]["metadata"]


class TestStates:
    def test_deleted_and_stored_again(self, peer: Peer) -> None:
        file = dicom_file()
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        peer.delete(*file.uids)
        deleted = peer.wait_for(file.study, ("Create", "Deleted"), ("Delete", "Deleted"))
        assert all("metadata" not in entry for entry in peer.entries(file.study, metadata=True))
        peer.store(file)
        again = peer.wait_for(file.study, ("Create", "Replaced"), ("Delete", "Replaced"), ("Create", "Current"))
        assert [unchanging(entry) for entry in again[:2]] == [unchanging(entry) for entry in deleted]

    def test_replaced_entries_show_the_current_metadata(self, peer: Peer) -> None:
        first = dicom_file(StudyDescription="before")
        peer.store(first)
        peer.wait_for(first.study, ("Create", "Current"))
        peer.delete(*first.uids)
        second = dicom_file(study=first.study, series=first.series, sop=first.sop, StudyDescription="after")
        peer.store(second)
        peer.wait_for(first.study, ("Create", "Replaced"), ("Delete", "Replaced"), ("Create", "Current"))
        entries = peer.entries(first.study, metadata=True)
        assert [entry["metadata"]["00081030"]["Value"] for entry in entries] == [["after"]] * 3

    def test_deleting_a_series_or_a_study_gives_one_entry_per_instance(self, peer: Peer) -> None:
        study, series = new_uid(), new_uid()
        files = [dicom_file(study=study, series=series) for _ in range(3)] + [dicom_file(study=study) for _ in range(2)]
        for file in files:
            peer.store(file)
        peer.wait_for(study, *[("Create", "Current")] * 5)
        peer.delete(study, series)
        creates = [("Create", "Deleted")] * 3 + [("Create", "Current")] * 2
        entries = peer.wait_for(study, *creates, *[("Delete", "Deleted")] * 3)
        assert {entry["sopInstanceUid"] for entry in entries[5:]} == {file.sop for file in files[:3]}
        peer.delete(study)
        entries = peer.wait_for(study, *[("Create", "Deleted")] * 5, *[("Delete", "Deleted")] * 5)
        assert {entry["sopInstanceUid"] for entry in entries[5:]} == {file.sop for file in files}


class TestWindows:
    @pytest.fixture
    def stored(self, peer: Peer) -> list[Entry]:
        """The entries of a study of five instances."""
        study = new_uid()
        for _ in range(5):
            peer.store(dicom_file(study=study))
        return peer.wait_for(study, *[("Create", "Current")] * 5)

    def test_v1_offset_is_an_exclusive_sequence(self, peer: Peer, stored: list[Entry]) -> None:
        first, last = stored[0]["sequence"], stored[-1]["sequence"]
        page = peer.page(1, offset=first, limit=100, includeMetadata="false")
        assert [entry["sequence"] for entry in page if first <= entry["sequence"] <= last] == sequences(stored[1:])
        assert peer.page(1, offset=last, limit=1, includeMetadata="false") == []

    def test_v1_limit_is_the_width_of_the_window(self, peer: Peer, stored: list[Entry]) -> None:
        second = stored[1]["sequence"]
        assert sequences(peer.page(1, offset=second - 1, limit=1, includeMetadata="false")) == [second]
        page = peer.page(1, offset=second - 1, includeMetadata="false")
        assert all(second <= entry["sequence"] < second + 10 for entry in page)

    def test_v1_latest_is_the_highest_sequence(self, peer: Peer, stored: list[Entry]) -> None:
        assert peer.latest(1, includeMetadata="false") == stored[-1]

    def test_v2_start_is_inclusive_and_end_exclusive(self, peer: Peer, stored: list[Entry]) -> None:
        times = [entry["timestamp"] for entry in stored]
        assert times == sorted(set(times)), "five requests one after the other have five times"
        page = peer.page(2, startTime=times[1], endTime=times[3], includeMetadata="false")
        assert sequences(page) == sequences(stored[1:3])

    def test_v2_offset_skips_and_limit_counts(self, peer: Peer, stored: list[Entry]) -> None:
        start = stored[0]["timestamp"]
        window = {"startTime": start, "includeMetadata": "false"}
        assert sequences(peer.page(2, offset=1, limit=2, **window)) == sequences(stored[1:3])
        assert sequences(peer.page(2, offset=3, limit=200, **window)) == sequences(stored[3:])
        assert peer.page(2, offset=5, **window) == []

    def test_v2_times_of_other_zones(self, peer: Peer, stored: list[Entry]) -> None:
        whole, fraction = stored[2]["timestamp"][:19], stored[2]["timestamp"][19:27]
        elsewhere = datetime.fromisoformat(whole) + timedelta(hours=5, minutes=30)
        text = f"{elsewhere.isoformat()}{fraction}+05:30"
        assert sequences(peer.page(2, startTime=text, limit=1, includeMetadata="false")) == sequences(stored[2:3])

    def test_v2_latest_is_the_newest_by_time(self, peer: Peer, stored: list[Entry]) -> None:
        assert peer.latest(2, includeMetadata="false") == stored[-1]

    def test_a_whole_window_can_be_paged(self, peer: Peer, stored: list[Entry]) -> None:
        seen: list[int] = []
        while page := peer.page(2, offset=len(seen), limit=3, startTime=stored[0]["timestamp"]):
            seen += sequences(page)
            if len(page) < 3:
                break
        assert seen == sequences(stored)


class TestDicomWeb:
    def test_metadata_by_wado_is_that_of_the_feed(self, peer: Peer) -> None:
        file = dicom_file()
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        url = f"{peer.dicomweb}/studies/{file.study}/series/{file.series}/instances/{file.sop}/metadata"
        answer = peer.http.get(url, headers={"Accept": "application/dicom+json"})
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/dicom+json")
        (data_set,) = answer.json()
        kept = {tag: attribute for tag, attribute in data_set.items() if attribute["vr"] not in BULK_VRS}
        assert peer.entries(file.study, metadata=True)[0]["metadata"] == kept

    def test_what_is_not_there_is_gone_and_others_are_readable(self, peer: Peer) -> None:
        file = dicom_file()
        peer.store(file)
        peer.wait_for(file.study, ("Create", "Current"))
        there = {
            "study_instance_uid": file.study,
            "series_instance_uid": file.series,
            "sop_instance_uid": file.sop,
        }

        async def scenario() -> None:
            async with httpx.AsyncClient(base_url=f"{peer.dicomweb}/", auth=peer.http.auth) as client:
                assert file.sop in await read_metadata(client, **there)
                for name in there:
                    with pytest.raises(InstanceGoneError):
                        await read_metadata(client, **{**there, name: new_uid()})
                assert await study_instances(client, new_uid()) == frozenset()
                assert await gives_another(client, create(1, file.study, new_uid()))

        asyncio.run(scenario())

    def test_metadata_of_what_is_not_there(self, peer: Peer) -> None:
        url = f"{peer.dicomweb}/studies/{new_uid()}/series/{new_uid()}/instances/{new_uid()}/metadata"
        assert peer.http.get(url).status_code == 404


def bulk(data_set: Entry) -> list[str]:
    """Tags of bulk attributes at any depth."""
    found = [tag for tag, attribute in data_set.items() if attribute["vr"] in BULK_VRS or "BulkDataURI" in attribute]
    for attribute in data_set.values():
        for item in attribute.get("Value", []) if attribute["vr"] == "SQ" else []:
            found += bulk(item or {})
    return found


def sequences(entries: list[Entry]) -> list[int]:
    return [entry["sequence"] for entry in entries]


def unchanging(entry: Entry) -> Entry:
    """The part of an entry that is the same whenever it is read."""
    return {name: value for name, value in entry.items() if name not in ("state", "metadata")}
