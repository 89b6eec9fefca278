"""`dicomcast-consumer dlq list` and `dlq show`."""

from collections.abc import Mapping
from datetime import UTC
from enum import StrEnum
from typing import Annotated

import orjson
import typer
from dicomcast_runtime.errors import InputError
from dicomcast_runtime.settings import load_settings

from .command_settings import ConfigFile, GroupSettings, LetterSettings
from .dlq import as_document, parse_position
from .dlq_done import KeptLetter
from .dlq_letters import LetterTopics
from .dlq_options import Code, Since, Source, Study, Until, filters
from .dlq_replay_arguments import replay
from .dlq_shown import letter_document
from .table import print_table

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Events that were rejected, each with its reason, on the group's dead-letter topic. They wait there until a "
    "person has mended the cause and replays them. docs/dead-letters.md walks through it.",
)
app.command("replay")(replay)

_COLUMNS = ("letter", "study", ">sequence", "code", "reason", ">attempts", "failed at", "state")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


class Shown(StrEnum):
    """Which letters `list` shows."""

    PENDING = "pending"
    DONE = "done"
    ALL = "all"


State = Annotated[
    Shown,
    typer.Option(
        "--state",
        help="`pending`: they wait for you. `done`: replayed with success, or overtaken by a later event. `all`: both.",
    ),
]


@app.command("list")
def list_letters(
    study: Study = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    state: State = Shown.PENDING,
    json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the dead letters that are there as the command starts.

    Columns: `letter` is PARTITION:OFFSET, which `dlq show` and `dlq replay` take; `sequence` that of the change feed;
    `code` a stable slug; `reason` a sentence without patient data; `attempts` how often the event has failed; `state`
    is `pending`, or how and when it was done. An event that was rejected several times is listed once.
    """
    chosen = filters(study=study, code=code, since=since, until=until, source=source)
    topics = _topics(load_settings(GroupSettings, config=config))
    kept = [each for each in topics.kept() if chosen.match(each.letter)]
    pending = sum(each.pending for each in kept)
    shown = [each for each in kept if state is Shown.ALL or each.pending is (state is Shown.PENDING)]
    if json:
        for each in shown:
            typer.echo(orjson.dumps(_kept_document(each)).decode())
        return
    print_table(_COLUMNS, [_row(each) for each in shown])
    typer.echo(f"dead letters on {topics.letters}: {pending} pending, {len(kept) - pending} done")


@app.command("show")
def show(
    position: Annotated[str, typer.Argument(metavar="PARTITION:OFFSET", help="Which letter, as `dlq list` prints it.")],
    metadata: Annotated[
        bool,
        typer.Option("--metadata", help="Also print the event's DICOM JSON metadata and file path: PATIENT DATA."),
    ] = False,
    json: Json = False,
    config: ConfigFile = None,
) -> None:
    """Show one dead letter: all headers, the event without patient data, what the mapping says about it now, and, while
    the event waits, the command that replays it.

    The mapping is that of this release with these settings, without network: FHIR is not asked.
    """
    filters(positions=[position])
    settings = load_settings(LetterSettings, config=config)
    topics = _topics(settings)
    record = topics.record(*parse_position(position))
    if record is None:
        raise InputError(f"there is no dead letter at {position} of {topics.letters}: see `dlq list`")
    document = letter_document(settings, topics.kept(), record, metadata=metadata)
    typer.echo(orjson.dumps(document).decode() if json else _text(document))


def _topics(settings: GroupSettings) -> LetterTopics:
    return LetterTopics(settings.kafka, topic=settings.topic.name, group=settings.consumer.group)


def _kept_document(kept: KeptLetter) -> dict[str, object]:
    mark = kept.mark
    return {
        **as_document(kept.letter),
        "state": "pending" if mark is None else "done",
        "outcome": None if mark is None else mark.outcome,
        "done_at": None if mark is None else mark.done_at,
        "letters": kept.copies,
    }


def _row(kept: KeptLetter) -> tuple[str, ...]:
    letter = kept.letter
    return (
        letter.position,
        letter.study or "-",
        "-" if letter.sequence is None else str(letter.sequence),
        letter.code,
        letter.text,
        str(letter.attempts),
        "-" if letter.failed_at is None else letter.failed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
        "pending" if kept.mark is None else f"{kept.mark.outcome} {kept.mark.done_at[:19].replace('T', ' ')}Z",
    )


def _text(document: Mapping[str, object]) -> str:
    lines: list[str] = []
    for title, value in document.items():
        if isinstance(value, Mapping):
            width = max((len(str(name)) for name in value), default=0)
            lines += [title.replace("_", " "), *(f"  {str(n).ljust(width)}  {_cell(v)}" for n, v in value.items())]
        else:
            lines.append(f"{title.replace('_', ' ')}: {_cell(value)}")
    return "\n".join(lines)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
