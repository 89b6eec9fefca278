"""`dicomcast-consumer dlq list` and `dlq show`."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

import orjson
import typer
from dicomcast_runtime.errors import ConfigurationError, InputError
from dicomcast_runtime.settings import load_settings
from dicomcast_schemas import ContractError, SchemaById, decode
from dicomcast_schemas.topic import dead_letter_topic, text_headers

from .command_settings import ConfigFile, LetterSettings
from .dlq import DeadLetter, Filters, as_document, event_document, parse_position, read_letter
from .group_admin import GroupAdmin, LogEnds
from .progress import progress
from .record import Record
from .replay_target import Arrival, parse_target
from .table import print_table
from .topic_reader import TopicReader

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="Events that were rejected, each with its reason, on the group's dead-letter topic. They stay there until a "
    "person has seen to them.",
)

_COLUMNS = ("letter", "study", ">sequence", "code", "reason", ">attempts", "failed at")

Json = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


@app.command("list")
def list_letters(
    study: Annotated[
        str | None, typer.Option("--study", metavar="UID", show_default=False, help="Only of this study.")
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="CODE",
            show_default=False,
            help="Only with this code, such as map.patient_id_missing, or of this stage: decode, map, fhir, source.",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="TIME",
            show_default=False,
            help="Only those that failed then or later: 2026-05-01T06:00:00Z (UTC offset required), or 6h for that "
            "long ago.",
        ),
    ] = None,
    json: Json = False,
    config: ConfigFile = None,
) -> None:
    """List the dead letters that are there as the command starts.

    Columns: `letter` is PARTITION:OFFSET, which `dlq show` takes; `sequence` that of the change feed; `code` a stable
    slug; `reason` a sentence without patient data; `attempts` how often the event has failed.
    """
    settings = load_settings(LetterSettings, config=config)
    filters = Filters(study=study, code=code, since=_since(since))
    found = [letter for record in _records(settings) if filters.match(letter := read_letter(record))]
    found.sort(key=lambda letter: (letter.partition, letter.offset))
    if json:
        for letter in found:
            typer.echo(orjson.dumps(as_document(letter)).decode())
        return
    print_table(_COLUMNS, [_row(letter) for letter in found])
    typer.echo(f"dead letters on {_topic(settings)}: {len(found)}")


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
    """Show one dead letter: all headers, the event without patient data, and what the mapping says about it now.

    The mapping is that of this release with these settings, without network: FHIR is not asked.
    """
    settings = load_settings(LetterSettings, config=config)
    record = _record(settings, position)
    document = _document(settings, record, schema_by_id=settings.schema_by_id(), metadata=metadata)
    typer.echo(orjson.dumps(document).decode() if json else _text(document))


def _topic(settings: LetterSettings) -> str:
    return dead_letter_topic(settings.topic.name, settings.consumer.group)


def _log(settings: LetterSettings) -> dict[int, LogEnds]:
    topic = _topic(settings)
    log = GroupAdmin(settings.kafka, topic=settings.topic.name, group=settings.consumer.group).log_ends(topic)
    if not log:
        raise ConfigurationError(
            f"the dead-letter topic {topic} does not exist, or this client may not see it: check "
            "DICOMCAST_TOPIC__NAME and DICOMCAST_CONSUMER__GROUP"
        )
    return log


def _records(settings: LetterSettings) -> Iterator[Record]:
    ranges = {partition: (ends.begin, ends.end) for partition, ends in _log(settings).items()}
    total = sum(end - start for start, end in ranges.values())
    reader = TopicReader(settings.kafka, topic=_topic(settings), group=settings.consumer.group)
    with reader as records, progress("reading dead letters", total=total) as advance:
        for record in records.read(ranges):
            advance(1)
            yield record


def _record(settings: LetterSettings, position: str) -> Record:
    try:
        partition, offset = parse_position(position)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    ends = _log(settings).get(partition)
    if ends is not None and ends.begin <= offset < ends.end:
        with TopicReader(settings.kafka, topic=_topic(settings), group=settings.consumer.group) as records:
            for record in records.read({partition: (offset, offset + 1)}):
                return record
    raise InputError(f"there is no dead letter at {position} of {_topic(settings)}: see `dlq list`")


def _row(letter: DeadLetter) -> tuple[str, ...]:
    return (
        letter.position,
        letter.study_instance_uid,
        "-" if letter.sequence is None else str(letter.sequence),
        letter.code,
        letter.text,
        str(letter.attempts),
        "-" if letter.failed_at is None else letter.failed_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ"),
    )


def _document(
    settings: LetterSettings, record: Record, *, schema_by_id: SchemaById | None, metadata: bool
) -> dict[str, object]:
    from .dlq_verdict import verdict  # the mapping takes a second to import

    profiles = {name: section.profile(name) for name, section in settings.sources.items()}
    now = verdict(record, profiles=profiles, options=settings.mapping, schema_by_id=schema_by_id)
    document: dict[str, object] = {
        "letter": as_document(read_letter(record)),
        "headers": dict(text_headers(list(record.headers))),
        "event": None,
        "mapping_now": now,
    }
    try:
        event = decode(record.value, schema_by_id=schema_by_id)
    except ContractError:
        return document
    document["event"] = event_document(event)
    if metadata:
        document["file_path"] = event.file_path
        document["metadata"] = event.metadata
    return document


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


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    kind = "datetime" if "T" in text and text[:1].isdigit() and "-" in text else "duration"
    try:
        target = parse_target([f"{kind}:{text}"], study=None, now=datetime.now(UTC))
    except ValueError as error:
        raise ConfigurationError(f"--since: {error}") from None
    assert isinstance(target, Arrival)
    return target.at
