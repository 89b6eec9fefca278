"""The DICOM JSON of two DICOM servers, as their change feed and WADO-RS give it, becomes valid R4.

Both are sent every file of pydicom's by STOW-RS, and keep what they can read.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from dicomcast_consumer.map_input import read_input
from dicomcast_consumer.map_input_place import InputEvent
from dicomcast_consumer.mapping import Kind, MappingOptions
from dicomcast_schemas import DicomChangeEvent

from tests.contract.change_feed.peers import OrthancPeer, Peer, SandboxPeer, closing
from tests.contract.validator.choices import everything, profile
from tests.contract.validator.mapped import FILES, map_events, pydicom_events
from tests.contract.validator.verdicts import faults
from tests.fakes.dicom_server import dicom_server
from tests.services.judge import Validator

PLACEHOLDER = MappingOptions(missing_patient_id="placeholder")
IN_JAPANESE = {
    "1.3.6.1.4.1.5962.1.1.0.1.1.1175775771.5705.0",
    "1.3.51.0.7.11267079384.54094.16836.47802.41082.29308.17462",
}
"""Instances with several character sets in one name, of which Orthanc decodes the first alone."""


@pytest.fixture(scope="module", params=["sandbox", "orthanc"])
def peer(request: pytest.FixtureRequest) -> Iterator[Peer]:
    if request.param == "orthanc":
        with closing(OrthancPeer(request.getfixturevalue("orthanc"))) as orthanc:
            yield orthanc
    else:
        with dicom_server() as server, closing(SandboxPeer(server)) as sandbox:
            yield sandbox


@pytest.fixture(scope="module")
def entries(peer: Peer) -> list[dict[str, Any]]:
    """What the change feed says of these stores."""
    before = peer.position()
    for path in sorted(FILES.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        if content[128:132] == b"DICM":
            _stow(peer, content)
    offsets = range(before, peer.position(), 50)
    return [entry for offset in offsets for entry in peer.page(offset=offset, limit=50, includeMetadata="true")]


def _stow(peer: Peer, content: bytes) -> None:
    answer = peer.http.post(
        f"{peer.dicomweb}/studies",
        content=b"--next\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--next--\r\n",
        headers={"Content-Type": 'multipart/related; type="application/dicom"; boundary=next'},
    )
    assert answer.status_code in (200, 202, 400, 409), answer.text


def _events(path: Path, *documents: object) -> list[DicomChangeEvent]:
    """The documents read as `map` reads them, from a file."""
    path.write_text("\n".join(json.dumps(document) for document in documents), encoding="utf-8")
    items = list(read_input([str(path)], feed="pacs"))
    events = [item.event for item in items if isinstance(item, InputEvent)]
    assert len(events) == len(items)
    return events


def _judge(validator: Validator, events: Sequence[DicomChangeEvent]) -> None:
    assert len(events) > 100
    for options in (PLACEHOLDER, everything()):
        mapped = map_events(events, options, profile(timezone="Europe/Berlin"))
        assert faults(validator, mapped.resources) == set()
        assert mapped.rejected == []


def test_what_the_change_feed_says(validator: Validator, entries: list[dict[str, Any]], tmp_path: Path) -> None:
    _judge(validator, _events(tmp_path / "entries.json", *entries))


def test_what_wado_rs_says(validator: Validator, peer: Peer, entries: list[dict[str, Any]], tmp_path: Path) -> None:
    found: list[DicomChangeEvent] = []
    for study in sorted({entry["studyInstanceUid"] for entry in entries}):
        answer = peer.http.get(
            f"{peer.dicomweb}/studies/{study}/metadata", headers={"Accept": "application/dicom+json"}
        )
        found += _events(tmp_path / "study.json", answer.json())
    _judge(validator, found)


def test_it_says_what_the_files_say(peer: Peer, entries: list[dict[str, Any]], tmp_path: Path) -> None:
    def said(events: Sequence[DicomChangeEvent]) -> dict[str, set[Any]]:
        by_instance: dict[str, set[Any]] = {}
        for change in map_events(events, PLACEHOLDER, profile()).changes:
            if change.kind is Kind.UPSERT:
                values = (change.patient, change.study, change.series, change.instance)
                by_instance.setdefault(change.sop_instance_uid, set()).add(values)
        return by_instance

    files = said(pydicom_events())
    server = said(_events(tmp_path / "entries.json", *entries))
    differing = {uid for uid, values in server.items() if not values <= files[uid]}
    assert differing == (IN_JAPANESE if isinstance(peer, OrthancPeer) else set())
