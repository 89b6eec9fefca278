"""What may be shown of a record that anybody may have written: values of a known form. Any other may be a patient's.

What another producer has put on the topic has a key and headers of its own. Pure.
"""

import re
from collections.abc import Iterable
from typing import Final

from dicomcast_schemas.topic import (
    CE_ID,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_SUBJECT,
    CE_TIME,
    CE_TYPE,
    CONTENT_TYPE,
    METADATA,
    METADATA_TOO_LARGE,
    METADATA_UNREADABLE,
    DeadLetterHeader,
)

from .uid import is_uid

__all__ = ["shown_feed", "shown_headers", "shown_key", "shown_uid"]

_FEED: Final = r"[a-z0-9][a-z0-9._-]{0,62}"
_EVENT: Final = re.compile(rf"{_FEED}:[0-9]{{1,19}}")
_FORMS: Final = {
    CE_SPECVERSION: re.compile(r"[0-9]\.[0-9]"),
    CE_ID: _EVENT,
    CE_SOURCE: re.compile(f"/dicomcast/feeds/{_FEED}"),
    CE_TYPE: re.compile(r"org\.dicomcast\.instance\.(create|update|delete|unknown)"),
    CE_TIME: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z"),
    CONTENT_TYPE: re.compile("application/vnd.apache.avro"),
    METADATA: re.compile(f"{METADATA_TOO_LARGE}|{METADATA_UNREADABLE}"),
}


def shown_uid(text: str | None) -> str | None:
    """The text if it is a UID."""
    uid = (text or "").strip(" \0")
    return uid if is_uid(uid) else None


def shown_feed(text: str | None) -> str | None:
    """The text if it may be the name of a feed."""
    return text if text and re.fullmatch(_FEED, text) else None


def shown_key(key: str, ce_id: str) -> str | None:
    """The key if it is one of ours: a UID, or the event's own ce_id where it has none."""
    return shown_uid(key) or (key if key == ce_id and _EVENT.fullmatch(key) else None)


def shown_headers(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """Name → value; of a header without the form that the contract gives it, how long it is."""
    return {name: _shown(name, value or b"") for name, value in headers}


def _shown(name: str, value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    form = _FORMS.get(name)
    known = name in DeadLetterHeader.ALL or (name == CE_SUBJECT and shown_uid(text)) or (form and form.fullmatch(text))
    return text if known else f"not shown ({len(value)} bytes)"
