"""What the mapping of this release, with these settings, says about a dead letter now. Pure."""

from collections.abc import Mapping

from dicomcast_schemas import ContractError, SchemaById, decode
from dicomcast_schemas.topic import METADATA, text_headers

from .errors import RejectedError
from .mapping import MappingOptions, SourceProfile, in_partition, read_event
from .record import Record

__all__ = ["verdict"]


def verdict(
    record: Record,
    *,
    profiles: Mapping[str, SourceProfile],
    options: MappingOptions,
    schema_by_id: SchemaById | None,
) -> str:
    """One sentence: what this release's mapping, with these settings, makes of the letter's event.

    FHIR is not asked, so a letter that FHIR refused may be mapped and be refused again. Raises nothing of its own.
    """
    try:
        event = decode(record.value, schema_by_id=schema_by_id)
    except ContractError as error:
        return f"cannot be decoded: {error}"
    profile = profiles.get(event.feed)
    if profile is None:
        return f"not known: the feed {event.feed!r} is not configured (DICOMCAST_SOURCES__{event.feed.upper()}__…)"
    if not in_partition(event, profile):
        return f"not known: the data partition {event.partition_name!r} is not the one configured for the feed"
    if event.metadata is None and METADATA in text_headers(list(record.headers)):
        return "not known: the metadata was left out of the record; the consumer reads it by WADO-RS"
    try:
        change = read_event(event, profile=profile, options=options)
    except RejectedError as error:
        return f"rejected again: {error}"
    omitted = ", ".join(f"{each.attribute} ({each.reason})" for each in change.omissions)
    left_out = f", leaving out {omitted}" if omitted else ""
    skipped = f" ({change.skip_reason})" if change.skip_reason else ""
    return f"mapped: {change.kind.value}{skipped}{left_out}"
