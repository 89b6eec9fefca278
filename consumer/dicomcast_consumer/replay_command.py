"""`dicomcast-consumer replay plan` and `replay apply`."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.settings import load_settings

from .command_settings import ConfigFile, LetterSettings
from .counted import counted
from .group_admin import GroupAdmin
from .output_file import require_writable, write_file
from .progress import progress
from .replay import Replay, apply_offsets
from .replay_join import OnlyMember
from .replay_plan import PlannedPartition, beyond, to_csv, warnings
from .replay_search import feed_sequence
from .replay_target import Arrival, SequenceFrom, StudyFrom, Target, parse_target
from .table import print_table
from .topic_reader import TopicReader

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Read events again, by resetting the offsets of the consumer group. Applying an event again ends in the same "
    "FHIR resources; what is as it should be is not written.",
)

To = Annotated[
    list[str] | None,
    typer.Option(
        "--to",
        metavar="TARGET",
        show_default=False,
        help="Where to begin. `earliest`: the first record the topic still has. `latest`: its end as it is now. "
        "`datetime:2026-05-01T06:00:00Z`: by arrival on the topic, UTC offset required. `duration:6h` (also 30m, 2d, "
        "PT6H30M): as long ago as that. `sequence:N`: the first event with this change feed sequence or a higher one "
        "(`sequence:FEED:N` where the topic has several feeds). `PARTITION:OFFSET`: one partition, may be repeated.",
    ),
]
Study = Annotated[
    str | None,
    typer.Option(
        "--study",
        metavar="UID",
        show_default=False,
        help="Begin at the first event of this study, on its partition alone; the partition is read to find it. Other "
        "studies of the partition are read again from there, too.",
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        show_default=False,
        help="Also write the new offsets to FILE (`-` is standard output), as "
        "`kafka-consumer-groups --reset-offsets --from-file` takes them: topic,partition,offset.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of the table.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before resetting.")]

_STANDARD_OUTPUT = Path("-")
_COLUMNS = (">partition", ">now", ">target", ">begin", ">end", ">redo", ">skip")


@app.command("plan")
def plan(to: To = None, study: Study = None, csv: Csv = None, json: Json = False, config: ConfigFile = None) -> None:
    """Show what a reset would do, per partition. Changes nothing.

    Columns: `now` is the group's offset (- has none), `target` the new one (- stays), `begin` and `end` those of the
    log, `redo` how many offsets are read again, `skip` how many unread ones are passed over. Both count offsets: a
    little more than records, for each transaction of the producer occupies one of its own.
    """
    target = _target(to or [], study)
    planned = _plan(load_settings(LetterSettings, config=config), target, csv=csv, json=json)
    if not json and csv != _STANDARD_OUTPUT:
        redo, skip = sum(each.redo for each in planned), sum(each.skip for each in planned)
        passed_over = f", {skip} unread passed over" if skip else ""
        again = f"{counted(redo, 'offset')} again in all{passed_over}"
        typer.echo(f"{again}. To do so, stop the members and give `replay apply` the same options.")


@app.command("apply")
def apply(
    to: To = None,
    study: Study = None,
    csv: Csv = None,
    json: Json = False,
    yes: Yes = False,
    config: ConfigFile = None,
) -> None:
    """Reset the group's offsets, and prove it by reading them back.

    Stop the group's members first: with live members it refuses, naming them. Offsets outside the log are moved to its
    nearer end, with a warning. Ends with 0 only when Kafka has accepted every partition and shows the new offsets.
    """
    settings = load_settings(LetterSettings, config=config)
    planned = _plan(settings, _target(to or [], study), csv=csv, json=json)
    wanted = {each.partition: each.target for each in planned if each.target is not None}
    group = settings.consumer.group
    if not yes:
        _confirm(group, len(wanted))
    names = {"topic": settings.topic.name, "group": group}
    apply_offsets(GroupAdmin(settings.kafka, **names), wanted, join=OnlyMember(settings.kafka, **names))
    if not json and csv != _STANDARD_OUTPUT:
        reset = counted(len(wanted), "partition")
        typer.echo(f"{group}: {reset} reset and read back. Start its members: they read from there.")


def _target(to: Sequence[str], study: str | None) -> Target:
    try:
        return parse_target(to, study=study, now=datetime.now(UTC))
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _plan(settings: LetterSettings, target: Target, *, csv: Path | None, json: bool) -> tuple[PlannedPartition, ...]:
    if csv not in (None, _STANDARD_OUTPUT):
        require_writable("--csv", csv)
    names = {"topic": settings.topic.name, "group": settings.consumer.group}
    group = GroupAdmin(settings.kafka, **names)
    with TopicReader(settings.kafka, **names) as records, progress(_doing(target)) as advance:
        replay = Replay(group, records, sequence_of=partial(feed_sequence, schema_by_id=settings.schema_by_id()))
        planned = replay.plan(target, advance)
    sought = _sought(target)
    for text in [*warnings(planned), *([] if sought is None else beyond(planned, sought))]:
        typer.echo(f"warning: {text}", err=True)
    if json:
        typer.echo(orjson.dumps(_document(settings, planned)).decode())
    elif csv != _STANDARD_OUTPUT:
        print_table(_COLUMNS, [_row(each) for each in planned])
    if csv is not None:
        text = to_csv(settings.topic.name, {e.partition: e.target for e in planned if e.target is not None})
        typer.echo(text, nl=False) if csv == _STANDARD_OUTPUT else write_file("--csv", csv, text.encode())
    return planned


def _sought(target: Target) -> str | None:
    """What the records are searched for, if they are."""
    match target:
        case SequenceFrom(sequence=sequence):
            return f"sequence {sequence}"
        case Arrival(at):
            return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return None


def _doing(target: Target) -> str:
    match target:
        case StudyFrom(uid):
            return f"looking for the study {uid}: records read"
        case SequenceFrom(sequence=sequence):
            return f"looking for sequence {sequence}: rounds"
    return "reading offsets"


def _row(each: PlannedPartition) -> tuple[str, ...]:
    now = each.now
    cells = (each.partition, now.committed, each.target, now.begin, now.end, each.redo, each.skip)
    return tuple("-" if cell is None else str(cell) for cell in cells)


def _document(settings: LetterSettings, planned: Sequence[PlannedPartition]) -> dict[str, object]:
    names = [column.lstrip(">") for column in _COLUMNS]
    rows = [(e.partition, e.now.committed, e.target, e.now.begin, e.now.end, e.redo, e.skip) for e in planned]
    return {
        "topic": settings.topic.name,
        "group": settings.consumer.group,
        "partitions": [dict(zip(names, row, strict=True)) for row in rows],
    }


def _confirm(group: str, partitions: int) -> None:
    if not sys.stdin.isatty():
        raise ConfigurationError("nothing was reset: add --yes where there is no terminal to ask on")
    typer.confirm(f"Reset {counted(partitions, 'partition')} of {group}?", abort=True, err=True)
