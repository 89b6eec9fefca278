"""JSON of the change feed into frozen types: keys and enum values in any case, unknown fields ignored.

The metadata is taken over as the server wrote it: a number that was parsed is not always the number that was sent.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec
from dicomcast_schemas import Action, DicomChangeEvent, State

__all__ = ["NO_TIME", "FeedEntry", "MalformedJsonError", "parse_entry", "parse_page", "unreadable_entry"]

NO_TIME: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The timestamp of an entry that has none that can be read; its action is UNKNOWN."""

_PAGE: Final = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_ENTRY: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TEXT: Final = msgspec.json.Decoder(str | None)
_NUMBER: Final = msgspec.json.Decoder(int | None)
_ATTRIBUTES: Final = re.compile(r'\{[ \t\r\n]*"')
_NO_ATTRIBUTES: Final = re.compile(r"null|\{[ \t\r\n]*\}")
_ACTIONS: Final = {action.value.lower(): action for action in Action}
_STATES: Final = {state.value.lower(): state for state in State}

_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""RecursionError: nested deeper than any data set is."""

T = TypeVar("T")


class MalformedJsonError(ValueError):
    """Not JSON, or not the shape of the change feed: nothing of it can be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """One entry of the feed as it will be published."""

    event: DicomChangeEvent
    metadata_omitted: str | None = None
    """Why the event of an existing instance has no metadata: the value of the `dicomcast-metadata` header."""


def parse_page(body: bytes, *, feed: str) -> tuple[FeedEntry, ...]:
    """The entries of a page, in its order. Raises MalformedJsonError."""
    return tuple(_entry(fields, feed) for fields in _decode(_PAGE, body))


def parse_entry(body: bytes, *, feed: str) -> FeedEntry | None:
    """The entry of `latest`; None for an empty body or null: the feed is empty. Raises MalformedJsonError."""
    if body.strip() in (b"", b"null"):
        return None
    return _entry(_decode(_ENTRY, body), feed)


def unreadable_entry(feed: str, sequence: int) -> FeedEntry:
    """An entry of which only the sequence is known: published all the same, for the consumer to set aside."""
    return FeedEntry(event=_unknown(feed, sequence))


def _decode(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    try:
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise MalformedJsonError(f"not JSON of a change feed ({type(error).__name__})") from None


def _entry(fields: dict[str, msgspec.Raw], feed: str) -> FeedEntry:
    raw = {name.lower(): value for name, value in fields.items()}
    sequence = _value(raw, "sequence", _NUMBER)
    if sequence is None or sequence < 1:
        raise MalformedJsonError("an entry without a sequence")
    try:
        return FeedEntry(event=_event(raw, feed, sequence))
    except MalformedJsonError:
        return unreadable_entry(feed, sequence)


def _event(raw: dict[str, msgspec.Raw], feed: str, sequence: int) -> DicomChangeEvent:
    return DicomChangeEvent(
        feed=feed,
        sequence=sequence,
        partition_name=_value(raw, "partitionname", _TEXT),
        study_instance_uid=_uid(raw, "studyinstanceuid"),
        series_instance_uid=_uid(raw, "seriesinstanceuid"),
        sop_instance_uid=_uid(raw, "sopinstanceuid"),
        action=_ACTIONS.get((_value(raw, "action", _TEXT) or "").lower(), Action.UNKNOWN),
        state=_STATES.get((_value(raw, "state", _TEXT) or "").lower(), State.UNKNOWN),
        timestamp=_timestamp(raw),
        file_path=_value(raw, "filepath", _TEXT),
        metadata=_metadata(raw.get("metadata")),
    )


def _unknown(feed: str, sequence: int) -> DicomChangeEvent:
    return DicomChangeEvent(
        feed=feed,
        sequence=sequence,
        partition_name=None,
        study_instance_uid="",
        series_instance_uid="",
        sop_instance_uid="",
        action=Action.UNKNOWN,
        state=State.UNKNOWN,
        timestamp=NO_TIME,
        file_path=None,
        metadata=None,
    )


def _value(raw: dict[str, msgspec.Raw], name: str, decoder: msgspec.json.Decoder[T]) -> T | None:
    value = raw.get(name)
    if value is None:
        return None
    try:
        return decoder.decode(value)
    except _UNREADABLE:
        raise MalformedJsonError(f"{name} is not of the type that it is in a change feed") from None


def _uid(raw: dict[str, msgspec.Raw], name: str) -> str:
    uid = (_value(raw, name, _TEXT) or "").strip(" \0")
    if not uid:
        raise MalformedJsonError(f"an entry without {name}")
    return uid


def _timestamp(raw: dict[str, msgspec.Raw]) -> datetime:
    text = _value(raw, "timestamp", _TEXT)
    try:
        # A seventh digit (100 ns) is cut. A time without a zone is the server's own, which is UTC.
        at = datetime.fromisoformat(text or "")
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise MalformedJsonError("timestamp is not a time") from None


def _metadata(value: msgspec.Raw | None) -> str | None:
    """The text of an object with at least one attribute. That it is JSON was seen when the page was read."""
    if value is None:
        return None
    try:
        text = bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedJsonError("metadata is not UTF-8") from None
    if _ATTRIBUTES.match(text):
        return text
    if _NO_ATTRIBUTES.fullmatch(text):
        return None
    raise MalformedJsonError("metadata is not a data set")
