"""One item of `map`'s input: an event, or a rejection, and where it stood."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
from dicomcast_schemas import Action, DicomChangeEvent, State

__all__ = ["EPOCH", "InputEvent", "InputRejection", "Place", "stored_event", "uid_of"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_SOP: Final = "00080018"


@dataclass(frozen=True, slots=True)
class Place:
    """A file (`-`: standard input), and in it a line or a position in an array, both from 1."""

    input: str
    line: int | None = None
    item: int | None = None

    def as_document(self) -> dict[str, object]:
        """For a report."""
        shown: dict[str, object] = {"input": self.input}
        if self.line is not None:
            shown["line"] = self.line
        if self.item is not None:
            shown["item"] = self.item
        return shown


@dataclass(frozen=True, slots=True)
class InputEvent:
    """An event and where it stood."""

    place: Place
    event: DicomChangeEvent


@dataclass(frozen=True, slots=True)
class InputRejection:
    """What is no event; `reason` holds no patient data."""

    place: Place
    code: str
    reason: str


def stored_event(data_set: Mapping[str, Any], *, feed: str) -> DicomChangeEvent:
    """The event that a DICOM server would give for a newly stored instance with this DICOM JSON data set."""
    return DicomChangeEvent(
        feed=feed,
        sequence=0,
        partition_name=None,
        study_instance_uid=uid_of(data_set, _STUDY),
        series_instance_uid=uid_of(data_set, _SERIES),
        sop_instance_uid=uid_of(data_set, _SOP),
        action=Action.CREATE,
        state=State.CURRENT,
        timestamp=EPOCH,
        file_path=None,
        metadata=json_text(data_set),
    )


def json_text(data_set: object) -> str:
    """As text, also of what is not strict JSON or UTF-8: the mapping judges it."""
    return orjson.dumps(data_set, option=orjson.OPT_NON_STR_KEYS, default=str).decode()


def uid_of(data_set: Mapping[str, Any], tag: str) -> str:
    """The UID of an attribute; empty where there is none."""
    element = data_set.get(tag) or data_set.get(tag.lower())
    value = element.get("Value") if isinstance(element, Mapping) else None
    first = value[0] if isinstance(value, list) and value else value
    return first.strip(" \0") if isinstance(first, str) else ""
