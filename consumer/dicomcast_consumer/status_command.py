"""`dicomcast-consumer status`."""

from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer
from dicomcast_runtime.settings import load_settings

from .command_settings import ConfigFile, GroupSettings
from .status import GroupStatus, PartitionStatus, as_document
from .status_read import StatusReader
from .table import print_table

__all__ = ["status"]

_COLUMNS = (">partition", ">committed", ">end", ">lag", ">oldest", "member", ">letters written")


def status(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")] = False,
    config: ConfigFile = None,
) -> None:
    """Show how far the consumer group is, partition by partition.

    `committed`: everything before this offset is in FHIR or an acknowledged dead letter (- the group has no offset).
    `lag`: offsets from there to the end of the log. `oldest`: how long the first record from there on has waited, by
    its record timestamp. `letters written`: what the group's dead-letter topic holds, by the ends of its log. A letter
    stays there when it is done, and an event that is rejected again has one more: `dlq list` says what is pending.
    """
    settings = load_settings(GroupSettings, config=config)
    found = StatusReader(settings.kafka, topic=settings.topic.name, group=settings.consumer.group).read()
    now = datetime.now(UTC)
    if json:
        typer.echo(orjson.dumps(as_document(found, now)).decode())
    else:
        _print(found, now)


def _print(found: GroupStatus, now: datetime) -> None:
    typer.echo(f"{found.group} on {found.topic}: lag {found.lag}, {_members(found)}, {_letters(found)}")
    print_table(_COLUMNS, [_row(each, now) for each in found.partitions])
    for member in found.members or ():
        held = ", ".join(map(str, member.partitions)) or "none"
        typer.echo(f"member {member.client_id} at {member.host}: partitions {held}")


def _members(found: GroupStatus) -> str:
    if found.members is None:
        return "members unknown (this cluster does not tell)"
    return f"live members: {len(found.members)}" if found.members else "no live members"


def _letters(found: GroupStatus) -> str:
    if found.dead_letters is None:
        return f"no dead-letter topic {found.dead_letter_topic}"
    pending = " (`dlq list` says which are pending)" if found.dead_letters else ""
    return f"dead letters written: {found.dead_letters}{pending}"


def _row(each: PartitionStatus, now: datetime) -> tuple[str, ...]:
    age_s = each.age_s(now)
    cells = (
        each.partition,
        each.committed,
        each.end,
        each.lag,
        None if age_s is None else _span(age_s),
        each.member,
        each.dead_letters,
    )
    return tuple("-" if cell is None else str(cell) for cell in cells)


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, left = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (left, "s")]
    while len(parts) > 1 and parts[0][0] == 0:
        parts.pop(0)
    return " ".join(f"{count} {unit}" for count, unit in parts[:2])
