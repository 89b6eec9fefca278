"""The DICOM change feed API (Microsoft DICOM server, v1 and v2) for Orthanc: a plugin in one file.

    Orthanc's callbacks ─▶ queue of Orthanc ids ─▶ one worker: what is there now? what does the log say? ─▶ rows for the
    Orthanc starts      ─▶ all studies compared ─▲                                                           difference

A callback only says *that* something happened to an instance; what happened is read from Orthanc afterwards. So the log
ends right whatever order, repetition or loss (kill -9, the plugin off for a month) the callbacks suffered, and one
writer gives out the sequences in the order of its commits. README.md: installation, configuration, API, limits.
"""

from __future__ import annotations

import html
import json
import os
import queue
import re
import sqlite3
import threading
import time
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from typing import Any, Iterator, NamedTuple  # noqa: UP035
from urllib.parse import quote, unquote_plus

import orthanc  # type: ignore[import-not-found]

TICKS_PER_S = 10_000_000  # the feed counts time in 100 ns
MAX_LONG = 2**63 - 1
BATCH = 200  # instances settled in one SQLite transaction
RETRY_S = 2.0
TAGS = "MainDicomTags"
INEXISTENT_ITEM, UNKNOWN_RESOURCE = 7, 17  # OrthancPluginErrorCode
BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
Uids = tuple[str, str, str]  # of study, series and SOP instance
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017  Python 3.9

# `announced` is the sequence of the row that told of the instance as it is there now. What is current of a SOP instance
# is what was announced last: one SOP Instance UID under two PatientIDs is two Orthanc instances.
SCHEMA = """
CREATE TABLE IF NOT EXISTS log (
  sequence INTEGER PRIMARY KEY, study TEXT NOT NULL, series TEXT NOT NULL, sop TEXT NOT NULL,
  action TEXT NOT NULL, ticks INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS log_by_time ON log (ticks, sequence);
CREATE TABLE IF NOT EXISTS present (
  orthanc_id TEXT PRIMARY KEY, orthanc_study TEXT NOT NULL, study TEXT NOT NULL, series TEXT NOT NULL,
  sop TEXT NOT NULL, file_uuid TEXT NOT NULL, announced INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS present_by_sop ON present (sop, series, study, announced);
CREATE INDEX IF NOT EXISTS present_by_study ON present (orthanc_study);
"""
TIME = r"(\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?)(\.\d{1,7})?(Z|[+-]\d\d:\d\d)?"
# The state of a row is worked out when it is read.
ENTRIES = """
SELECT sequence, study, series, sop, action, ticks,
  CASE WHEN newest IS NULL THEN 'Deleted' WHEN newest = sequence THEN 'Current' ELSE 'Replaced' END
FROM (SELECT log.*, (SELECT MAX(announced) FROM present
  WHERE present.sop = log.sop AND present.series = log.series AND present.study = log.study) AS newest FROM log) """


class Found(NamedTuple):
    """An instance as Orthanc has it now; `file_uuid` changes whenever its file does."""

    uids: Uids
    orthanc_study: str
    file_uuid: str


class BadParameterError(Exception):
    """Answered with 400 and this text."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The query parameter '{name}' is invalid. {reason}")


class Log:
    """The SQLite log. One thread calls `settle`; any thread asks."""

    def __init__(self, path: str) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=30)
        # A sequence that a reader has seen must survive a power cut: else its cursor would be ahead of the log.
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;" + SCHEMA)

    def settle(self, instances: dict[str, Found | None]) -> None:
        """Log what makes the log agree with Orthanc about these instances (None: Orthanc does not have it)."""
        with self._lock, self._database:
            for orthanc_id, now in instances.items():
                if now is None:
                    _settle_gone(self._database, orthanc_id)
                else:
                    _settle_present(self._database, orthanc_id, now)

    def ask(self, question: str, *values: str | int) -> list[tuple[Any, ...]]:
        """The rows that answer a constant SQL question."""
        with self._lock:  # a row stamped before a reader's question is committed before its answer
            return self._database.execute(question, values).fetchall()

    def close(self) -> None:
        with self._lock:
            self._database.close()


def _settle_present(database: sqlite3.Connection, orthanc_id: str, now: Found) -> None:
    known = database.execute("SELECT file_uuid FROM present WHERE orthanc_id = ?", (orthanc_id,)).fetchone()
    if known != (now.file_uuid,):
        sequence = _append(database, now.uids, "Update" if _newest(database, now.uids) else "Create")
        row = (orthanc_id, now.orthanc_study, *now.uids, now.file_uuid, sequence)
        database.execute("INSERT OR REPLACE INTO present VALUES (?, ?, ?, ?, ?, ?, ?)", row)


def _settle_gone(database: sqlite3.Connection, orthanc_id: str) -> None:
    for uids in database.execute(
        "SELECT study, series, sop FROM present WHERE orthanc_id = ?", (orthanc_id,)
    ).fetchall():
        database.execute("DELETE FROM present WHERE orthanc_id = ?", (orthanc_id,))
        left = _newest(database, uids)
        sequence = _append(database, uids, "Update" if left else "Delete")
        if left:  # another patient's copy of the same SOP Instance UID is what is there now
            database.execute("UPDATE present SET announced = ? WHERE orthanc_id = ?", (sequence, left))


def _newest(database: sqlite3.Connection, uids: Uids) -> str | None:
    asked = "SELECT orthanc_id FROM present WHERE study = ? AND series = ? AND sop = ? ORDER BY announced DESC LIMIT 1"
    return next((str(row[0]) for row in database.execute(asked, uids)), None)


def _append(database: sqlite3.Connection, uids: Uids, action: str) -> int:
    last = database.execute("SELECT sequence, ticks FROM log ORDER BY sequence DESC LIMIT 1").fetchone() or (0, 0)
    sequence = int(last[0]) + 1
    # A clock that is set back must not put rows behind a time that readers have passed.
    row = (sequence, *uids, action, max(time.time_ns() // 100, last[1]))
    database.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?)", row)
    return sequence


def get_json(path: str, *, of_plugins: bool = False) -> Any:
    """What Orthanc's REST API answers, None when there is no such thing. Raises OrthancException."""
    try:
        return json.loads(orthanc.RestApiGetAfterPlugins(path) if of_plugins else orthanc.RestApiGet(path))
    except orthanc.OrthancException as error:
        # The DICOMweb plugin says InexistentItem; UnknownResource means that it is not loaded.
        if error.args[0] == INEXISTENT_ITEM or (error.args[0] == UNKNOWN_RESOURCE and not of_plugins):
            return None
        raise


def look_up(orthanc_id: str) -> Found | None:
    """The instance as it is now, None when it is gone. Raises OrthancException."""
    instance = get_json("/instances/" + orthanc_id)
    series = get_json("/series/" + instance["ParentSeries"]) if instance else None
    study = get_json("/studies/" + series["ParentStudy"]) if series else None
    if not (instance and series and study):
        return None
    uids = study[TAGS]["StudyInstanceUID"], series[TAGS]["SeriesInstanceUID"], instance[TAGS]["SOPInstanceUID"]
    return Found(uids, series["ParentStudy"], instance["FileUuid"])


def metadata(uids: Uids, dicomweb_root: str) -> dict[str, Any] | None:
    """The data set that Orthanc has now, in the DICOM JSON model (PS3.18 annex F) and without bulk attributes.

    None when there is none, or more than one (README). Raises OrthancException. At instance level the DICOMweb plugin
    reads the file, whatever its StudiesMetadata and SeriesMetadata say.
    """
    path = "{}/studies/{}/series/{}/instances/{}/metadata".format(dicomweb_root, *map(quote, uids))
    answer = get_json(path, of_plugins=True)
    return without_bulk(answer[0]) if answer else None


def without_bulk(data_set: dict[str, Any]) -> dict[str, Any]:
    """The data set without bulk attributes, at every depth."""
    kept = {}
    for tag, attribute in data_set.items():
        vr = attribute.get("vr")
        if vr in BULK_VRS or "BulkDataURI" in attribute or "InlineBinary" in attribute:
            continue
        if vr == "SQ" and attribute.get("Value"):
            attribute = {"vr": vr, "Value": [without_bulk(item) for item in attribute["Value"]]}
        kept[tag] = attribute
    return kept


class Worker(threading.Thread):
    """The one writer of the log: settles the instances that callbacks tell of, and at the start all that differ."""

    def __init__(self, log: Log) -> None:
        super().__init__(name="change-feed", daemon=True)
        self._log = log
        self._told: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Returns when the last transaction is done; what is still queued is found again at the next start."""
        self._stopping.set()
        self._told.put("")
        if self.is_alive():
            self.join(30)

    def tell(self, orthanc_id: str) -> None:
        """Something happened to this instance. Returns at once: no callback ever waits for the log."""
        self._told.put(orthanc_id)

    def run(self) -> None:
        different: Iterator[list[str]] | None = self._differences()
        while not self._stopping.is_set():
            batch = self._take(wait=different is None)
            try:
                if not batch and different is not None:
                    batch = next(different, [])
                    different = different if batch else None
            except Exception as error:
                _complain("comparing the log with what is stored begins again", error)
                self._stopping.wait(RETRY_S)
                different = self._differences()
            self._settle(batch)

    def _take(self, *, wait: bool) -> list[str]:
        told = [self._told.get()] if wait else []
        while len(told) < BATCH and not self._told.empty():  # nobody else takes from it
            told.append(self._told.get())
        return list(dict.fromkeys(one for one in told if one))

    def _settle(self, orthanc_ids: list[str]) -> None:
        """What fails is told of again: nothing that happened is forgotten, and one bad instance holds nobody up."""
        found: dict[str, Found | None] = {}
        for one in orthanc_ids:
            try:
                found[one] = look_up(one)
            except Exception as error:
                _complain("an instance waits to be logged", error)
        try:
            self._log.settle(found)
        except sqlite3.Error as error:
            _complain(f"{len(found)} instances wait to be logged", error)
            found.clear()
        again = [one for one in orthanc_ids if one not in found]
        for one in again:
            self.tell(one)
        if again and not found:
            self._stopping.wait(RETRY_S)

    def _differences(self) -> Iterator[list[str]]:
        """Batches of instances on which log and Orthanc differ. One study is one consistent read."""
        there = get_json("/studies") or []
        logged = [row[0] for row in self._log.ask("SELECT DISTINCT orthanc_study FROM present")]
        for study in dict.fromkeys([*there, *logged]):
            found = {one["ID"]: one["FileUuid"] for one in get_json(f"/studies/{study}/instances") or []}
            known = dict(self._log.ask("SELECT orthanc_id, file_uuid FROM present WHERE orthanc_study = ?", study))
            differ = [one for one in {**found, **known} if found.get(one) != known.get(one)]
            for start in range(0, len(differ), BATCH):
                yield differ[start : start + BATCH]


def _complain(what: str, error: Exception) -> None:
    # Texts of exceptions may carry values of data sets: Orthanc's log gets their kind and code.
    code = error.args[0] if isinstance(error, orthanc.OrthancException) else ""
    orthanc.LogError(f"Change feed: {what} ({type(error).__name__} {code})")


class Api(NamedTuple):
    """The answers to GET /v1/changefeed, /v2/changefeed and their /latest."""

    log: Log
    dicomweb_root: str

    def page(self, version: int, query: dict[str, str]) -> str:
        """A JSON array. Raises BadParameterError, OrthancException."""
        offset = integer(query, "offset", 0, (0, MAX_LONG))
        include_metadata = boolean(query, "includeMetadata")
        if version == 1:
            end = min(offset + integer(query, "limit", 10, (1, 100)), MAX_LONG)
            rows = self.log.ask(ENTRIES + "WHERE sequence > ? AND sequence <= ? ORDER BY sequence", offset, end)
        else:
            limit = integer(query, "limit", 100, (1, 200))
            start, stop = instant(query, "startTime", -MAX_LONG), instant(query, "endTime", MAX_LONG)
            if stop <= start:
                raise BadParameterError("", "The start time must occur strictly before the end time.")
            where = "WHERE ticks >= ? AND ticks < ? ORDER BY ticks, sequence LIMIT ? OFFSET ?"
            rows = self.log.ask(ENTRIES + where, start, stop, limit, offset)
        return "[{}]".format(",".join(self._render(row, include_metadata) for row in rows))

    def latest(self, query: dict[str, str]) -> str | None:
        """A JSON object, None while the feed is empty. The newest by sequence is the newest by time."""
        include_metadata = boolean(query, "includeMetadata")
        rows = self.log.ask(ENTRIES + "ORDER BY sequence DESC LIMIT 1")
        return self._render(rows[0], include_metadata) if rows else None

    def _render(self, row: tuple[Any, ...], include_metadata: bool) -> str:
        sequence, study, series, sop, action, ticks, state = row
        entry = {"sequence": sequence, "studyInstanceUid": study, "seriesInstanceUid": series, "sopInstanceUid": sop}
        entry.update(action=action, timestamp=timestamp(ticks), state=state)
        if include_metadata and state != "Deleted":
            data_set = metadata((study, series, sop), self.dicomweb_root)
            if data_set is not None:
                entry["metadata"] = data_set
        return json.dumps(entry, ensure_ascii=False, separators=(",", ":"))


def integer(query: dict[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    text = query.get(name.lower(), str(default))
    if not re.fullmatch(r"\s*[+-]?[0-9]{1,19}\s*", text) or abs(int(text)) > MAX_LONG:
        raise _not_valid(name, text)
    if not bounds[0] <= int(text) <= bounds[1]:
        raise BadParameterError(name, f"The field {name} must be between {bounds[0]} and {bounds[1]}.")
    return int(text)


def boolean(query: dict[str, str], name: str) -> bool:
    text = query.get(name.lower(), "true")
    if text.strip().lower() not in ("true", "false"):
        raise _not_valid(name, text)
    return text.strip().lower() == "true"


def instant(query: dict[str, str], name: str, default: int) -> int:
    """Ticks of an ISO 8601 time with its zone."""
    text = query.get(name.lower(), "").strip().replace(" ", "+")  # a plus that was not escaped, or unescaped twice
    if not text:
        return default
    match = re.fullmatch(TIME, text, re.IGNORECASE)
    try:
        if match is None:
            raise ValueError
        whole = datetime.fromisoformat(match[1].upper() + (match[3] or "").upper().replace("Z", "+00:00"))
        if whole.tzinfo is None:
            raise BadParameterError(name, "Date and time value must specify a time zone.")
        seconds = (whole - EPOCH) // timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise _not_valid(name, text) from None
    return seconds * TICKS_PER_S + int((match[2] or ".0")[1:].ljust(7, "0"))


def timestamp(ticks: int) -> str:
    seconds, fraction = divmod(ticks, TICKS_PER_S)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:07d}+00:00"


def _not_valid(name: str, text: str) -> BadParameterError:
    return BadParameterError(name, f"The value '{html.escape(text[:100])}' is not valid.")


def settings() -> tuple[str, str]:
    """The path of the log and the root of DICOMweb. Raises ValueError naming what is wrong in the configuration."""
    configuration = json.loads(orthanc.GetConfiguration())
    section = configuration.get("ChangeFeed", {})
    for unknown in sorted(set(section) - {"Database"}):
        raise ValueError(f"ChangeFeed.{unknown} is not a setting; there is ChangeFeed.Database")
    beside = orthanc.GetConfigurationPath()  # Orthanc's relative paths start at its configuration
    beside = beside if os.path.isdir(beside) else os.path.dirname(beside)
    storage = os.path.join(beside, configuration.get("StorageDirectory", "OrthancStorage"))
    path = os.path.join(beside, section.get("Database") or os.path.join(storage, "change-feed.sqlite"))
    return path, "/" + configuration.get("DicomWeb", {}).get("Root", "/dicom-web/").strip("/")


def main() -> None:
    """Called when Orthanc loads the script."""
    path, dicomweb_root = settings()
    try:
        log = Log(path)
    except sqlite3.Error as error:
        raise ValueError(f"ChangeFeed.Database {path}: {error}") from error
    worker, api = Worker(log), Api(log, dicomweb_root)

    def changed(change: int, level: int, resource: str) -> None:
        if change == orthanc.ChangeType.ORTHANC_STARTED:
            worker.start()
        elif change == orthanc.ChangeType.ORTHANC_STOPPED:
            worker.stop()
            log.close()
        elif level == orthanc.ResourceType.INSTANCE:
            worker.tell(resource)

    def answer(output: Any, uri: str, **request: Any) -> None:
        if request["method"] != "GET":
            output.SendMethodNotAllowed("GET")
            return
        version, latest = request["groups"]
        # Orthanc 1.10 hands over the query as it was sent.
        query = {unquote_plus(name).lower(): unquote_plus(text) for name, text in request["get"].items()}
        output.SetHttpHeader("Date", formatdate(usegmt=True))  # readers of v2 end their windows by it
        try:
            status, text = 200, api.latest(query) if latest else api.page(2 if version == "v2" else 1, query)
        except BadParameterError as error:
            status, text = 400, str(error)
        except Exception as error:
            _complain("a request was not answered", error)
            status, text = 500, "The server encountered an internal error. Please retry the request."
        if text is None:
            output.SendHttpStatusCode(204)
        elif status == 200:
            output.AnswerBuffer(text, "application/json")
        else:
            output.SetHttpHeader("Content-Type", "text/plain; charset=utf-8")
            output.SendHttpStatus(status, text, len(text.encode()))

    orthanc.RegisterOnChangeCallback(changed)
    orthanc.RegisterOnStoredInstanceCallback(lambda _, orthanc_id: worker.tell(orthanc_id))
    orthanc.RegisterRestCallback(r"/(v1\.0-prerelease|v1|v2)/changefeed(/latest|)", answer)


main()
