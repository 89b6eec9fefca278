"""From record to change: decode, find the source, read what the mapping needs.

An event without its metadata (too large for a record, or unreadable when it was produced) is completed by WADO-RS.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
from dicomcast_runtime.backoff import retry_after_s
from dicomcast_runtime.dicomweb_client import DicomWebError, InstanceGoneError, MetadataTooLargeError, read_metadata
from dicomcast_runtime.errors import DependencyError
from dicomcast_schemas import (
    Action,
    DicomChangeEvent,
    MalformedRecordError,
    SchemaById,
    State,
    UnknownSchemaError,
    decode,
)
from dicomcast_schemas.topic import record_key

from .errors import NoMetadataError, RejectedError, RetryableError, UnfitRecordError
from .mapping import InstanceChange, MappingOptions, SourceProfile, in_partition, read_event
from .neighbours import gives_another
from .record import Record

__all__ = ["EventReader", "FeedSource"]

_SHOWN: Final = 100
"""Characters of an event's value that a text repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSource:
    """What the consumer knows of one change feed."""

    profile: SourceProfile
    dicomweb: httpx.AsyncClient
    ignored_partitions: frozenset[str]


class EventReader:
    """Reads records of all configured feeds."""

    def __init__(
        self, *, feeds: Mapping[str, FeedSource], options: MappingOptions, schema_by_id: SchemaById | None
    ) -> None:
        self._feeds = feeds
        self._options = options
        self._schema_by_id = schema_by_id
        self._known_schemas: set[int] = set()

    async def read(self, record: Record) -> InstanceChange | None:
        """The change, or None for an event of an ignored data partition.

        Raises RejectedError (dead letter), NoMetadataError (the DICOM server is away), RetryableError (the registry
        is), UnfitRecordError (stop).
        """
        await self._know_schema(record.value)
        event = self._decode(record)
        source = self._feed(record, event)
        if not self._is_served(record, event, source):
            return None
        if event.action is not Action.UNKNOWN and record.key != record_key(event):
            raise RejectedError("decode", "decode.key_mismatch", "the record's key is not its Study Instance UID")
        metadata = await self._missing_metadata(event, source)
        return read_event(event, profile=source.profile, options=self._options, metadata=metadata)

    async def is_alone(self, record: Record) -> bool:
        """Whether the DICOM server gives another instance's metadata, for an event that met NoMetadataError."""
        event = self._decode(record)
        return await gives_another(self._feeds[event.feed].dicomweb, event)

    def profile(self, feed: str) -> SourceProfile:
        """The mapping's view of a feed whose event was read."""
        return self._feeds[feed].profile

    async def _know_schema(self, value: bytes | None) -> None:
        """Asks the registry for a new schema id outside of the event loop; `decode` then finds it known."""
        if self._schema_by_id is None or value is None or value[:1] != b"\0":
            return
        schema_id = int.from_bytes(value[1:5], "big")
        if schema_id in self._known_schemas:
            return
        try:
            await asyncio.to_thread(self._schema_by_id, schema_id)
        except LookupError:
            return
        except DependencyError as error:
            raise RetryableError(str(error)) from error
        self._known_schemas.add(schema_id)

    def _decode(self, record: Record) -> DicomChangeEvent:
        try:
            return decode(record.value, schema_by_id=self._schema_by_id)
        except MalformedRecordError as error:
            raise RejectedError("decode", "decode.malformed", str(error)) from None
        except UnknownSchemaError as error:
            text = f"cannot be read: {error}; one that nobody of ours wrote can be passed over: docs/troubleshooting.md"
            raise _unfit(record, text) from None

    def _feed(self, record: Record, event: DicomChangeEvent) -> FeedSource:
        source = self._feeds.get(event.feed)
        if source is None:
            feed = event.feed[:_SHOWN]
            raise _unfit(
                record,
                f"is of the feed {feed!r}, which is not configured: set "
                f"DICOMCAST_SOURCES__{feed.upper()}__DICOMWEB_URL and restart",
            )
        return source

    def _is_served(self, record: Record, event: DicomChangeEvent, source: FeedSource) -> bool:
        if in_partition(event, source.profile):
            return True
        if event.partition_name in source.ignored_partitions:
            return False
        partition = (event.partition_name or "")[:_SHOWN]
        raise _unfit(
            record,
            f"is of the data partition {partition!r}, and the feed {event.feed!r} is for "
            f"{source.profile.partition or 'Microsoft.Default'!r}: add it to its ignored_partitions "
            f"(DICOMCAST_SOURCES__{event.feed.upper()}__IGNORED_PARTITIONS), or give it a consumer of its own",
        )

    async def _missing_metadata(self, event: DicomChangeEvent, source: FeedSource) -> str | None:
        exists = event.action is not Action.DELETE and event.state is not State.DELETED
        if event.metadata is not None or not exists:
            return None
        settings = f"DICOMCAST_SOURCES__{event.feed.upper()}"
        try:
            return await read_metadata(
                source.dicomweb,
                study_instance_uid=event.study_instance_uid,
                series_instance_uid=event.series_instance_uid,
                sop_instance_uid=event.sop_instance_uid,
                settings=settings,
            )
        except InstanceGoneError as error:
            if error.status is None:
                raise RejectedError("map", "map.uid_invalid", "a UID of the event is not a DICOM UID") from None
            text = "the instance is not on the DICOM server any more"
            raise RejectedError("source", "source.gone", text, http_status=error.status) from None
        except MetadataTooLargeError as error:
            raise RejectedError("source", "source.too_large", f"{error}: {settings}__MAX_ANSWER_BYTES") from None
        except DicomWebError as error:
            raise NoMetadataError(str(error), retry_after_s=retry_after_s(error.retry_after)) from error


def _unfit(record: Record, text: str) -> UnfitRecordError:
    place = f"the record at offset {record.offset} of {record.topic}[{record.partition}]"
    return UnfitRecordError(f"{place} {text}", offset=record.offset)
