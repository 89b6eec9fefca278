"""Orthanc as its Python plugin sees it: the `orthanc` module, with what the change feed plugin asks of it.

Callbacks come on the caller's thread, at once, or not at all (`silent`); a real Orthanc calls later, from others.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

PLUGIN = Path(__file__).parents[2] / "producer" / "orthanc_plugin" / "change_feed.py"


class OrthancException(Exception):
    """(code, text)."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An instance that Orthanc has."""

    patient: str
    study: str
    series: str
    sop: str
    file_uuid: str

    def id_at(self, level: int) -> str:
        """Orthanc's identifier: from PatientID and UIDs, so that two patients' copies differ."""
        text = "|".join((self.patient, self.study, self.series, self.sop)[:level])
        return sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(slots=True)
class Answer:
    """What the plugin answered to a request."""

    status: int = 0
    body: str = ""
    headers: dict[str, str] | None = None


class FakeOrthanc(ModuleType):
    """One Orthanc process; a second one on the same `instances` and directory is the same Orthanc after a restart."""

    OrthancException = OrthancException
    ChangeType = SimpleNamespace(NEW_INSTANCE=1, DELETED=2, ORTHANC_STARTED=3, ORTHANC_STOPPED=4, NEW_STUDY=5)
    ResourceType = SimpleNamespace(PATIENT=0, STUDY=1, SERIES=2, INSTANCE=3)

    def __init__(self, directory: Path, instances: dict[str, Stored], **configuration: object) -> None:
        super().__init__("orthanc")
        self.instances = instances
        self.silent = False
        self.dicomweb = True
        self.failures = 0
        self.poisoned: set[str] = set()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._file_uuids = itertools.count(len(instances) + 1)
        self._directory = directory
        self._configuration = configuration

    # What a test does.

    def _load(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location("change_feed", PLUGIN)
        assert spec is not None
        assert spec.loader is not None
        plugin = importlib.util.module_from_spec(spec)
        sys.modules["orthanc"] = self
        try:
            spec.loader.exec_module(plugin)
        finally:
            del sys.modules["orthanc"]
        return plugin

    @contextmanager
    def running(self, **constants: object) -> Iterator[FakeOrthanc]:
        """The plugin is loaded, with other values of its constants where given; started; and stopped at the end."""
        vars(self._load()).update(constants)
        self._on_change(self.ChangeType.ORTHANC_STARTED, 4, "")
        try:
            yield self
        finally:
            self._on_change(self.ChangeType.ORTHANC_STOPPED, 4, "")

    def store(self, patient: str, study: str, series: str, sop: str) -> str:
        """Stores or overwrites; calls back as Orthanc does."""
        uuid = f"file-{next(self._file_uuids)}"
        stored = Stored(patient, study, series, sop, uuid)
        orthanc_id = stored.id_at(4)
        if orthanc_id in self.instances:
            self._tell(self.ChangeType.DELETED, self.ResourceType.INSTANCE, orthanc_id)
        self.instances[orthanc_id] = stored
        self._tell(self.ChangeType.NEW_INSTANCE, self.ResourceType.INSTANCE, orthanc_id)
        self._tell(self.ChangeType.NEW_STUDY, self.ResourceType.STUDY, stored.id_at(2))
        if not self.silent:
            self._on_stored(None, orthanc_id)
        return orthanc_id

    def delete(self, orthanc_id: str) -> None:
        if self.instances.pop(orthanc_id, None) is not None:
            self._tell(self.ChangeType.DELETED, self.ResourceType.INSTANCE, orthanc_id)

    def tell_again(self, orthanc_id: str) -> None:
        """A callback that comes late or twice."""
        self._on_change(self.ChangeType.NEW_INSTANCE, self.ResourceType.INSTANCE, orthanc_id)

    def get(self, path: str, method: str = "GET", **query: str) -> Answer:
        """A request to what the plugin serves."""
        match = re.fullmatch(self._path, path)
        assert match is not None, f"the plugin does not serve {path}"
        output = _Output()
        self._on_request(output, path, method=method, groups=match.groups(), get=query, headers={})
        return output.answer

    def _tell(self, change: int, level: int, resource: str) -> None:
        if not self.silent:
            self._on_change(change, level, resource)

    # What the plugin calls.

    def RegisterOnChangeCallback(self, callback: Callable[[int, int, str], None]) -> None:
        self._on_change = callback

    def RegisterOnStoredInstanceCallback(self, callback: Callable[[Any, str], None]) -> None:
        self._on_stored = callback

    def RegisterRestCallback(self, path: str, callback: Callable[..., None]) -> None:
        self._path, self._on_request = path, callback

    def GetConfiguration(self) -> str:
        return json.dumps({"StorageDirectory": str(self._directory), **self._configuration})

    def GetConfigurationPath(self) -> str:
        return str(self._directory / "orthanc.json")

    def LogError(self, text: str) -> None:
        self.errors.append(text)

    def RestApiGet(self, path: str) -> bytes:
        self.asked.append(path)
        if self.failures > 0:
            self.failures -= 1
            raise OrthancException(11, "database with a value of a data set")
        _, level, *rest = path.split("/")
        depth = {"studies": 2, "series": 3, "instances": 4}[level]
        there = {stored.id_at(depth): stored for stored in list(self.instances.values())}
        if not rest:
            return json.dumps(list(there)).encode()
        if rest[0] not in there:
            raise OrthancException(17, "Unknown resource")
        if rest[1:] == ["instances"]:
            chosen = [one for one in list(self.instances.values()) if one.id_at(depth) == rest[0]]
            return json.dumps([_describe(one, 4) for one in chosen]).encode()
        return json.dumps(_describe(there[rest[0]], depth)).encode()

    def RestApiGetAfterPlugins(self, path: str) -> bytes:
        match = re.fullmatch(r"/dicom-web/studies/(.+)/series/(.+)/instances/(.+)/metadata", path)
        if match is None or not self.dicomweb:
            raise OrthancException(17, "Unknown resource")
        found = [one for one in list(self.instances.values()) if (one.study, one.series, one.sop) == match.groups()]
        if len(found) != 1:  # as the real plugin: none, or one it cannot tell from another
            raise OrthancException(7, "Accessing an inexistent item")
        if found[0].sop in self.poisoned:
            raise OrthancException(15, "Bad file format")
        item = {"00091001": {"vr": "UN", "BulkDataURI": "http://"}, "00080100": {"vr": "SH", "Value": ["c"]}}
        data_set = {
            "00080018": {"vr": "UI", "Value": [found[0].sop]},
            "00100020": {"vr": "LO", "Value": [found[0].patient]},
            "00400260": {"vr": "SQ", "Value": [item]},
            "00082112": {"vr": "SQ"},
            "7FE00010": {"vr": "OW", "BulkDataURI": "http://"},
        }
        return json.dumps([data_set]).encode()


def _describe(stored: Stored, depth: int) -> dict[str, object]:
    names = {2: "StudyInstanceUID", 3: "SeriesInstanceUID", 4: "SOPInstanceUID"}
    uids = {2: stored.study, 3: stored.series, 4: stored.sop}
    parent = {3: {"ParentStudy": stored.id_at(2)}, 4: {"ParentSeries": stored.id_at(3)}}
    described: dict[str, object] = {"ID": stored.id_at(depth), "MainDicomTags": {names[depth]: uids[depth]}}
    return {**described, **parent.get(depth, {}), **({"FileUuid": stored.file_uuid} if depth == 4 else {})}


class _Output:
    def __init__(self) -> None:
        self.answer = Answer(headers={})

    def SetHttpHeader(self, name: str, value: str) -> None:
        assert self.answer.headers is not None
        self.answer.headers[name] = value

    def SendHttpStatusCode(self, status: int) -> None:
        self.answer.status = status

    def SendHttpStatus(self, status: int, body: str, length: int) -> None:
        assert length == len(body.encode())
        self.answer.status, self.answer.body = status, body

    def SendMethodNotAllowed(self, allowed: str) -> None:
        self.answer.status, self.answer.body = 405, allowed

    def AnswerBuffer(self, body: str, content_type: str) -> None:
        self.SetHttpHeader("Content-Type", content_type)
        self.answer.status, self.answer.body = 200, body
