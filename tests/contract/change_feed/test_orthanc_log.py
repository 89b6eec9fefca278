"""The plugin's log on a real Orthanc: overwriting, restarts, kill -9, and what happened while it was not there."""

from __future__ import annotations

import random
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.contract.change_feed.files import DicomFile, dicom_file, new_uid
from tests.contract.change_feed.peers import Entry, OrthancPeer, poll
from tests.services.server import Server


@pytest.fixture
def without_plugin(own_orthanc_peer: OrthancPeer) -> Server:
    """The same Orthanc, started without the plugin."""
    server = own_orthanc_peer.server
    port = httpx.URL(server.url).port
    return Server("start-orthanc.sh", [port, server.dicom_port], server.server.log.parent)


class TestOverwriting:
    def test_by_rest(self, own_orthanc_peer: OrthancPeer) -> None:
        first = dicom_file(StudyDescription="before")
        own_orthanc_peer.store(first)
        own_orthanc_peer.wait_for(first.study, ("Create", "Current"))
        own_orthanc_peer.store(another(first, StudyDescription="after"))
        own_orthanc_peer.wait_for(first.study, ("Create", "Replaced"), ("Update", "Current"))
        entries = own_orthanc_peer.entries(first.study, metadata=True)
        assert [entry["metadata"]["00081030"]["Value"] for entry in entries] == [["after"]] * 2

    def test_by_storescu(self, own_orthanc_peer: OrthancPeer, tmp_path: Path) -> None:
        file = dicom_file()
        path = tmp_path / "one.dcm"
        path.write_bytes(file.content)
        for expected in ([("Create", "Current")], [("Create", "Replaced"), ("Update", "Current")]):
            port = str(own_orthanc_peer.server.dicom_port)
            subprocess.run(["storescu", "127.0.0.1", port, str(path)], check=True, timeout=30)
            own_orthanc_peer.wait_for(file.study, *expected)

    def test_deleted_after_overwriting(self, own_orthanc_peer: OrthancPeer) -> None:
        file = dicom_file()
        own_orthanc_peer.store(file)
        own_orthanc_peer.wait_for(file.study, ("Create", "Current"))
        own_orthanc_peer.store(file)
        own_orthanc_peer.wait_for(file.study, ("Create", "Replaced"), ("Update", "Current"))
        own_orthanc_peer.delete(file.study)
        own_orthanc_peer.wait_for(file.study, ("Create", "Deleted"), ("Update", "Deleted"), ("Delete", "Deleted"))

    def test_one_sop_instance_of_two_patients(self, own_orthanc_peer: OrthancPeer) -> None:
        """Orthanc keeps both; to the feed there is one instance until both are gone."""
        first = dicom_file(PatientID="before")
        second = another(first, PatientID="after")
        own_orthanc_peer.store(first)
        own_orthanc_peer.wait_for(first.study, ("Create", "Current"))
        own_orthanc_peer.store(second)
        own_orthanc_peer.wait_for(first.study, ("Create", "Replaced"), ("Update", "Current"))
        (older,) = (one["ID"] for one in own_orthanc_peer.find("Instance", {"PatientID": "before"}))
        own_orthanc_peer.http.delete(f"/instances/{older}").raise_for_status()
        both = [("Create", "Replaced"), ("Update", "Replaced"), ("Update", "Current")]
        own_orthanc_peer.wait_for(first.study, *both)
        metadata = own_orthanc_peer.entries(first.study, metadata=True)[-1]["metadata"]
        assert metadata["00100020"]["Value"] == ["after"]
        own_orthanc_peer.delete(first.study)
        gone = [(action, "Deleted") for action in ("Create", "Update", "Update", "Delete")]
        own_orthanc_peer.wait_for(first.study, *gone)


class TestRestart:
    def test_log_goes_on_where_it_was(self, own_orthanc_peer: OrthancPeer) -> None:
        files = store_some(own_orthanc_peer, 3)
        own_orthanc_peer.delete(*files[0].uids)
        wait_until_agreed(own_orthanc_peer)
        before = history(own_orthanc_peer)
        own_orthanc_peer.server.server.restart()
        wait_until_agreed(own_orthanc_peer)
        assert history(own_orthanc_peer) == before, "a restart is no event"
        store_some(own_orthanc_peer, 1)
        wait_until_agreed(own_orthanc_peer)
        assert [entry["sequence"] for entry in history(own_orthanc_peer)] == [*range(1, 6)]

    def test_stored_before_the_plugin_was_installed(
        self, own_orthanc_peer: OrthancPeer, without_plugin: Server
    ) -> None:
        log = own_orthanc_peer.server.server.log.parent / "db" / "change-feed.sqlite"
        without_plugin.restart()
        for one in log.parent.glob(f"{log.name}*"):
            one.unlink()
        files = store_some(own_orthanc_peer, 5)
        own_orthanc_peer.server.server.restart()
        wait_until_agreed(own_orthanc_peer)
        entries = history(own_orthanc_peer)
        assert {entry["action"] for entry in entries} == {"Create"}
        assert sorted(entry["sopInstanceUid"] for entry in entries) == sorted(file.sop for file in files)

    def test_changes_while_the_plugin_was_off(self, own_orthanc_peer: OrthancPeer, without_plugin: Server) -> None:
        kept, deleted, overwritten = store_some(own_orthanc_peer, 3)
        wait_until_agreed(own_orthanc_peer)
        without_plugin.restart()
        own_orthanc_peer.delete(*deleted.uids)
        own_orthanc_peer.store(overwritten)
        (added,) = store_some(own_orthanc_peer, 1)
        own_orthanc_peer.server.server.restart()
        wait_until_agreed(own_orthanc_peer)
        own_orthanc_peer.wait_for(kept.study, ("Create", "Current"))
        own_orthanc_peer.wait_for(deleted.study, ("Create", "Deleted"), ("Delete", "Deleted"))
        own_orthanc_peer.wait_for(overwritten.study, ("Create", "Replaced"), ("Update", "Current"))
        own_orthanc_peer.wait_for(added.study, ("Create", "Current"))

    def test_kill_9_while_storing(self, own_orthanc_peer: OrthancPeer) -> None:
        study = new_uid()
        seen: list[Entry] = []

        def store(_: int) -> None:
            try:
                own_orthanc_peer.store(dicom_file(study=study))
            except httpx.TransportError:
                return

        with ThreadPoolExecutor(4) as pool:
            stores = [pool.submit(store, number) for number in range(120)]
            poll(lambda: own_orthanc_peer.position() > 20, "twenty entries")
            seen = history(own_orthanc_peer)
            own_orthanc_peer.server.server.kill()
            for one in stores:
                one.result()
        own_orthanc_peer.server.server.start()
        wait_until_agreed(own_orthanc_peer)
        after = history(own_orthanc_peer)
        assert after[: len(seen)] == seen, "what a reader has seen stays"
        assert [entry["sequence"] for entry in after] == [*range(1, len(after) + 1)]
        assert len({entry["sopInstanceUid"] for entry in after}) == len(after), "nothing is logged twice"


def test_storm_of_stores_and_deletes_loses_nothing(own_orthanc_peer: OrthancPeer) -> None:
    """Four writers on eight instances while a reader follows: no hole is filled behind it, and the end is right."""
    files = [dicom_file() for _ in range(8)]
    done = threading.Event()
    followed: list[Entry] = []

    def follow() -> None:
        while not done.is_set():
            cursor = followed[-1]["sequence"] if followed else 0
            followed.extend(own_orthanc_peer.page(1, offset=cursor, limit=100, includeMetadata="false"))

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(40):
            file = chance.choice(files)
            if chance.random() < 0.6:
                own_orthanc_peer.http.post("/instances", content=file.content)
            else:
                for one in own_orthanc_peer.http.post("/tools/lookup", content=file.sop).json():
                    own_orthanc_peer.http.delete(one["Path"])

    with ThreadPoolExecutor(5) as pool:
        reader = pool.submit(follow)
        try:
            for writer in [pool.submit(write, seed) for seed in range(4)]:
                writer.result()
            wait_until_agreed(own_orthanc_peer)
        finally:
            done.set()
        reader.result()
    whole = history(own_orthanc_peer)
    assert [unchanging(entry) for entry in followed] == whole[: len(followed)]
    assert len(whole) > len(files)
    for file in files:
        actions = [entry["action"] for entry in whole if entry["sopInstanceUid"] == file.sop]
        there = False
        for action in actions:
            assert (action == "Create") != there, f"{actions}: Create when it was not there, else Update or Delete"
            there = action != "Delete"


def another(file: DicomFile, **attributes: str) -> DicomFile:
    """The same instance with other attributes."""
    return dicom_file("CT_small.dcm", study=file.study, series=file.series, sop=file.sop, **attributes)


def store_some(peer: OrthancPeer, count: int) -> list[DicomFile]:
    files = [dicom_file() for _ in range(count)]
    for file in files:
        peer.store(file)
    return files


def history(peer: OrthancPeer) -> list[Entry]:
    """What never changes of all entries."""
    pages = [peer.page(1, offset=at, limit=100, includeMetadata="false") for at in range(0, peer.position(), 100)]
    return [unchanging(entry) for page in pages for entry in page]


def unchanging(entry: Entry) -> Entry:
    return {name: value for name, value in entry.items() if name != "state"}


def wait_until_agreed(peer: OrthancPeer) -> None:
    """Until the last entries of all instances say what Orthanc has."""

    def agrees() -> bool:
        there = {one["MainDicomTags"]["SOPInstanceUID"] for one in peer.http.get("/instances?expand").json()}
        last: dict[str, Entry] = {}
        for at in range(0, peer.position(), 100):
            for entry in peer.page(1, offset=at, limit=100, includeMetadata="false"):
                last[entry["sopInstanceUid"]] = entry
        says = {sop for sop, entry in last.items() if entry["state"] == "Current" and entry["action"] != "Delete"}
        gone = {sop for sop, entry in last.items() if entry["state"] == "Deleted" and entry["action"] == "Delete"}
        return there == says and says | gone == set(last)

    poll(agrees, "a log that agrees with what is stored")
