"""JSON given to `map`: DICOM JSON (one data set or an array of them), change events one a line (NDJSON), or both mixed.

An event has the field names of DicomChangeEvent or those of the change feed's own JSON (`StudyInstanceUid`); its
metadata is a data set, or the text of one.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any, Final

import orjson
from dicomcast_schemas import Action, DicomChangeEvent, State

from .map_input_place import EPOCH, InputEvent, InputRejection, Place, json_text, stored_event

__all__ = ["looks_like_json", "read_json"]

_BOM: Final = b"\xef\xbb\xbf"
_REQUIRED: Final = ("studyinstanceuid", "seriesinstanceuid", "sopinstanceuid", "action")


def looks_like_json(head: bytes) -> bool:
    """Whether what begins so is JSON rather than anything else."""
    return head.removeprefix(_BOM).lstrip()[:1] in (b"{", b"[")


def read_json(stream: IO[bytes], place: Place, *, feed: str) -> Iterator[InputEvent | InputRejection]:
    """The events of a seekable stream. NDJSON is read line by line, everything else as a whole."""
    if _is_ndjson(stream):
        yield from _of_lines(stream, place, feed)
        return
    text = stream.read()
    try:
        found = _parse(text)
    except ValueError as error:
        yield from _of_broken(text, place, feed, error)
        return
    if isinstance(found, list):
        for number, item in enumerate(found, start=1):
            yield _item(item, Place(place.input, item=number), feed)
    else:
        yield _item(found, place, feed)


def _is_ndjson(stream: IO[bytes]) -> bool:
    """Whether the first line is an object by itself; leaves the stream at its begin."""
    first = next((line for line in stream if line.removeprefix(_BOM).strip()), b"")
    stream.seek(0)
    try:
        return isinstance(_parse(first), dict)
    except ValueError:
        return False


def _of_lines(stream: IO[bytes], place: Place, feed: str) -> Iterator[InputEvent | InputRejection]:
    for number, line in enumerate(stream, start=1):
        if not line.removeprefix(_BOM).strip():
            continue
        at = Place(place.input, line=number)
        try:
            found = _parse(line)
        except ValueError:
            yield InputRejection(at, "input.not_json", "the line is not JSON")
            continue
        yield _item(found, at, feed)


def _of_broken(text: bytes, place: Place, feed: str, error: ValueError) -> Iterator[InputEvent | InputRejection]:
    """A file that is not JSON as a whole: NDJSON whose first line is broken, or JSON that is."""
    lines = text.splitlines()
    if any(_is_object(line) for line in lines):
        yield from _of_lines(iter(lines), place, feed)  # type: ignore[arg-type]  # only iterated over
        return
    line = error.lineno if isinstance(error, json.JSONDecodeError) else None
    yield InputRejection(Place(place.input, line=line), "input.not_json", "it is neither JSON nor one object a line")


def _is_object(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(_parse(line), dict)
    except ValueError:
        return False


def _parse(text: bytes) -> Any:
    """JSON; what strict JSON forbids but servers write (NaN, lone surrogates) is tolerated. Raises ValueError."""
    text = text.removeprefix(_BOM)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        try:
            return json.loads(text)
        except RecursionError:
            raise error from None


def _item(found: object, place: Place, feed: str) -> InputEvent | InputRejection:
    if not isinstance(found, dict):
        return InputRejection(place, "input.not_an_object", "it is neither a data set nor an event")
    fields = {str(name).lower().replace("_", ""): value for name, value in found.items()}
    try:
        if "action" in fields or "sopinstanceuid" in fields:
            return InputEvent(place, _event(fields, feed))
        return InputEvent(place, stored_event(found, feed=feed))
    except ValueError as error:
        return InputRejection(place, "input.event_invalid", str(error))


def _event(fields: Mapping[str, Any], feed: str) -> DicomChangeEvent:
    """Raises ValueError naming the field."""
    missing = [name for name in _REQUIRED if not isinstance(fields.get(name), str)]
    if missing:
        raise ValueError(f"the event has no {', '.join(missing)} (text)")
    sequence = fields.get("sequence", 0)
    if isinstance(sequence, bool) or not isinstance(sequence, int) or not 0 <= sequence < 2**63:
        raise ValueError("sequence is not a whole number of 64 bits")
    return DicomChangeEvent(
        feed=_optional_text(fields, "feed") or feed,
        sequence=sequence,
        partition_name=_optional_text(fields, "partitionname"),
        study_instance_uid=fields["studyinstanceuid"],
        series_instance_uid=fields["seriesinstanceuid"],
        sop_instance_uid=fields["sopinstanceuid"],
        action=_member(Action, fields["action"]),
        state=_member(State, fields.get("state", "CURRENT")),
        timestamp=_time(_optional_text(fields, "timestamp")),
        file_path=_optional_text(fields, "filepath"),
        metadata=_metadata(fields.get("metadata")),
    )


def _optional_text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _member(kind: Any, value: object) -> Any:
    """The enum's member of this name in any case; UNKNOWN, as the contract has it, for another."""
    return kind.__members__.get(str(value).upper(), kind.UNKNOWN)


def _time(text: str | None) -> datetime:
    if text is None:
        return EPOCH
    try:
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("timestamp is not an ISO 8601 time") from None


def _metadata(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json_text(value)
