"""The change feed API: parameters in, a page of JSON out (Microsoft DICOM server, API v1 and v2)."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dicomcast_sandbox.dicom.store import Entry, Poison, Store
from dicomcast_sandbox.dicom.timestamps import MAX_TICKS, MIN_TICKS, NoZoneError, format_ticks, parse_ticks

MAX_LONG = 2**63 - 1
PARTITION = "Microsoft.Default"
INTERNAL_ERROR = (
    "The server encountered an internal error. Please retry the request. If the issue persists, please contact support."
)


class BadParameterError(Exception):
    """Answered with 400 and this text."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"The query parameter '{name}' is invalid. {reason}")


class PoisonedPageError(Exception):
    """One instance of the page makes the whole page fail; carries the status and the text of the answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What was asked for. v1 ignores the times."""

    offset: int
    limit: int
    start_ticks: int = MIN_TICKS
    end_ticks: int = MAX_TICKS
    include_metadata: bool


def parse_page(version: int, query: Mapping[str, str]) -> Page:
    """The page that a query asks for; names are case-insensitive, unknown ones ignored. Raises BadParameterError."""
    asked = {name.lower(): text for name, text in query.items()}
    offset = _integer(asked, "offset", default=0, low=0, high=MAX_LONG)
    include_metadata = include_metadata_of(asked)
    if version == 1:
        limit = _integer(asked, "limit", default=10, low=1, high=100)
        return Page(offset=offset, limit=limit, include_metadata=include_metadata)
    limit = _integer(asked, "limit", default=100, low=1, high=200)
    start_ticks, end_ticks = _time(asked, "startTime", MIN_TICKS), _time(asked, "endTime", MAX_TICKS)
    if end_ticks <= start_ticks:
        start, end = format_ticks(start_ticks), format_ticks(end_ticks)
        raise BadParameterError("", f"The start time '{start}' must occur strictly before the end time '{end}'.")
    return Page(
        offset=offset, limit=limit, start_ticks=start_ticks, end_ticks=end_ticks, include_metadata=include_metadata
    )


def include_metadata_of(query: Mapping[str, str]) -> bool:
    """Literally true or false, by default true. Raises BadParameterError."""
    asked = {name.lower(): text for name, text in query.items()}
    text = asked.get("includemetadata", "true")
    if text.strip().lower() not in ("true", "false"):
        raise BadParameterError("includeMetadata", _not_valid(text))
    return text.strip().lower() == "true"


def read_page(store: Store, version: int, page: Page) -> str:
    """The JSON array of a page. Raises PoisonedPageError."""
    if version == 1:
        entries = store.window(page.offset, page.limit)
    else:
        entries = store.between(page.start_ticks, page.end_ticks, page.offset, page.limit)
    return f"[{','.join(_render_all(store, entries, page.include_metadata))}]"


def read_latest(store: Store, version: int, *, include_metadata: bool) -> str | None:
    """The JSON object of the newest entry; None when the feed is empty. Raises PoisonedPageError."""
    entry = store.latest(by_time=version > 1)
    return None if entry is None else _render_all(store, [entry], include_metadata)[0]


def _render_all(store: Store, entries: Sequence[Entry], include_metadata: bool) -> list[str]:
    if not include_metadata:
        return [_render(entry, None) for entry in entries]
    return [_render(entry, _metadata(store, entry)) for entry in entries]


def _metadata(store: Store, entry: Entry) -> str | None:
    if entry.data_set is None:
        return None
    match store.poisons.get(entry.row.key.sop_instance_uid):
        case Poison.ERROR_500:
            raise PoisonedPageError(500, INTERNAL_ERROR)
        case Poison.ERROR_400:
            raise PoisonedPageError(400, "The JSON of one instance is not valid: InvalidSyntax")
        case Poison.MALFORMED:
            return '{"00081199": {"vr": "SQ", "Value": [-Infinity, '
        case None:
            return json.dumps(entry.data_set, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _render(entry: Entry, metadata: str | None) -> str:
    key = entry.row.key
    fields = {
        "sequence": entry.row.sequence,
        "partitionName": PARTITION,
        "studyInstanceUid": key.study_instance_uid,
        "seriesInstanceUid": key.series_instance_uid,
        "sopInstanceUid": key.sop_instance_uid,
        "action": entry.row.action,
        "timestamp": format_ticks(entry.row.ticks),
        "state": entry.state,
    }
    text = json.dumps(fields, separators=(",", ":"))
    return text if metadata is None else f'{text[:-1]},"metadata":{metadata}}}'


def _integer(asked: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = asked.get(name)
    if text is None:
        return default
    try:
        number = int(text) if text.strip().lstrip("+-").isascii() and "_" not in text else None
    except ValueError:
        number = None
    if number is None or abs(number) > MAX_LONG:
        raise BadParameterError(name, _not_valid(text))
    if not low <= number <= high:
        raise BadParameterError(name, f"The field {name} must be between {low} and {high}.")
    return number


def _time(asked: Mapping[str, str], name: str, default: int) -> int:
    text = asked.get(name.lower(), "")
    if not text.strip():
        return default
    try:
        return parse_ticks(text)
    except NoZoneError:
        raise BadParameterError(name, "Date and time value must specify a time zone.") from None
    except ValueError:
        raise BadParameterError(name, _not_valid(text)) from None


def _not_valid(text: str) -> str:
    return f"The value '{html.escape(text[:100])}' is not valid."
