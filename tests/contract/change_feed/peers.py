"""The servers under test, seen by one client: the sandbox's DICOM server and a real Orthanc with the plugin."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.contract.change_feed.files import DicomFile
from tests.fakes.dicom_server import DicomServer
from tests.services.peers import OrthancServer

__all__ = ["Entry", "OrthancPeer", "Peer", "SandboxPeer", "closing", "poll", "stow"]

Entry = dict[str, Any]
PATIENCE_S = 20.0
# verify=False: nothing here is HTTPS, and loading the certificates takes a third of a second per client.


class _Reader:
    """The change feed as a client reads it."""

    http: httpx.Client
    dicomweb: str

    def latest(self, version: int = 1, **query: object) -> Entry | None:
        answer = self.http.get(f"/v{version}/changefeed/latest", params=_texts(query))
        if answer.status_code == 204:
            assert answer.content == b""
            return None
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def position(self) -> int:
        """The newest sequence, 0 while there is none."""
        latest = self.latest(includeMetadata="false")
        return latest["sequence"] if latest else 0

    def page(self, version: int = 1, **query: object) -> list[Entry]:
        answer = self.http.get(f"/v{version}/changefeed", params=_texts(query))
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        return list(answer.json())

    def entries(self, study: str, *, after: int = 0, metadata: bool = False) -> list[Entry]:
        """All entries of a study beyond `after`, read by windows of v1."""
        found: list[Entry] = []
        for offset in range(after, self.position(), 100):
            page = self.page(offset=offset, limit=100, includeMetadata=str(metadata).lower())
            found += [entry for entry in page if entry["studyInstanceUid"] == study]
        return found

    def wait_for(self, study: str, *expected: tuple[str, str], after: int = 0) -> list[Entry]:
        """The entries of the study once they have these actions and states, in this order; fails if they never do."""
        entries: list[Entry] = []

        def arrived() -> bool:
            entries[:] = self.entries(study, after=after)
            return seen() == list(expected)

        def seen() -> list[tuple[str, str]]:
            return [(entry["action"], entry["state"]) for entry in entries]

        poll(arrived, f"{expected}", seen)
        return entries


class SandboxPeer(_Reader):
    """Stores by STOW-RS, deletes by the Microsoft DICOM server's DELETE."""

    def __init__(self, server: DicomServer) -> None:
        self.server = server
        self.dicomweb = server.dicomweb_url
        self.http = httpx.Client(base_url=server.base_url, timeout=30, verify=False)

    def store(self, file: DicomFile) -> None:
        answer = stow(self.http, file.content)
        assert answer.status_code == 200, answer.text

    def delete(self, study: str, series: str | None = None, sop: str | None = None) -> None:
        levels = [("studies", study), ("series", series), ("instances", sop)]
        path = "/".join(f"{level}/{uid}" for level, uid in levels if uid is not None)
        assert self.http.delete(f"/v2/{path}").status_code == 204


class OrthancPeer(_Reader):
    """Stores and deletes by Orthanc's own REST API."""

    def __init__(self, server: OrthancServer) -> None:
        self.server = server
        self.dicomweb = server.dicomweb_url
        self.http = httpx.Client(
            base_url=server.change_feed_url, auth=(server.user, server.password), timeout=30, verify=False
        )

    def store(self, file: DicomFile) -> None:
        answer = self.http.post("/instances", content=file.content)
        assert answer.status_code == 200, answer.text

    def find(self, level: str, query: dict[str, str]) -> list[dict[str, Any]]:
        """What Orthanc has at this level (Study, Series, Instance)."""
        asked = {"Level": level, "Query": query, "Expand": True}
        return list(self.http.post("/tools/find", json=asked).json())

    def delete(self, study: str, series: str | None = None, sop: str | None = None) -> None:
        level, uid = ("Study", study) if series is None else ("Series", series) if sop is None else ("Instance", sop)
        found = self.http.post("/tools/lookup", content=uid).json()
        paths = [one["Path"] for one in found if one["Type"] == level]
        assert paths, f"Orthanc has no {level} of this UID"
        for path in paths:
            assert self.http.delete(path).status_code == 200


Peer = SandboxPeer | OrthancPeer


def poll(reached: Callable[[], bool], wanted: str, got: Callable[[], object] = str) -> None:
    """Waits until `reached`; fails when that does not come."""
    until = time.monotonic() + PATIENCE_S
    while not reached():
        assert time.monotonic() < until, f"expected {wanted}, got {got()}"
        time.sleep(0.05)


@contextmanager
def closing(peer: Peer) -> Iterator[Peer]:
    with peer.http:
        yield peer


def stow(http: httpx.Client, *files: bytes, study: str | None = None) -> httpx.Response:
    """STOW-RS of files in one multipart body (PS3.18 10.5)."""
    parts = b"".join(b"--next\r\nContent-Type: application/dicom\r\n\r\n" + file + b"\r\n" for file in files)
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=next'}
    path = "/v2/studies" if study is None else f"/v2/studies/{study}"
    return http.post(path, content=parts + b"--next--\r\n", headers=headers)


def _texts(query: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items()}
