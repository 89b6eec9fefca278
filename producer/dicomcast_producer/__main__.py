"""dicomcast-producer: the change feed of a DICOM server onto a Kafka topic."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TypeVar
from uuid import uuid4

import typer
from dicomcast_runtime.collector import settle
from dicomcast_runtime.errors import ConfigurationError, DependencyError, StopError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.health import Check, Health, LoopBeat, beats_within
from dicomcast_runtime.http_port import HttpPort, routes_of
from dicomcast_runtime.logs import configure_logs
from dicomcast_runtime.printed_settings import printed_settings
from dicomcast_runtime.registry import SchemaRegistry
from dicomcast_runtime.settings import load_settings
from dicomcast_runtime.version_option import print_version
from dicomcast_runtime.watchdog import Watchdog
from dicomcast_schemas import SCHEMA_JSON

from .bridge import Bridge, FeedIdentity
from .change_feed import ChangeFeed
from .config import FeedSettings, ProducerSettings
from .cursor import CursorReader
from .cursor_commands import CursorCommands
from .errors import RetryableError
from .metrics import ProducerMetrics
from .position import Position
from .publisher import KafkaPublisher
from .readers import reader_at
from .topic_check import TopicCheck
from .topics import Change, Topics, changes, wanted_topics

__all__ = ["main"]

T = TypeVar("T")

_USAGE_OF_TYPER = 2
_BEAT_S = 60.0
"""After this long a loop that does not go round is taken for stuck by the probe."""
_STUCK_S = 600.0
"""After this long without getting on the watchdog ends the process: far longer than Kafka is waited for at one time."""

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Publishes the change feed of a DICOM server to a Kafka topic.

Settings come from the environment (DICOMCAST_…) or a TOML file (--config); docs/producer.md has each command.

Exit codes: 0 done, or drained after SIGTERM; 1 `cursor set` was not confirmed; 64 a setting or the command line is
wrong; 69 a server stayed away; 70 stuck, or a bug; 75 another instance has taken over; 78 the contract is broken.""",
)
cursor_app = typer.Typer(
    no_args_is_help=True, help="Show how far the feed is on the topic, or put the cursor elsewhere."
)
topics_app = typer.Typer(no_args_is_help=True, help="Compare or create the topics of events, cursor and dead letters.")
app.add_typer(cursor_app, name="cursor")
app.add_typer(topics_app, name="topics")


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version("dicomcast-producer"), is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options before the command."""


ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        envvar="DICOMCAST_CONFIG",
        help="Read the settings from this TOML file; the environment wins over it.",
    ),
]
Groups = Annotated[
    list[str], typer.Option("--group", help="Include the dead-letter topics of this consumer group; may be repeated.")
]
PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print all settings as a settings file, secrets as ***, and end.")
]
_GROUPS = ["dicomcast-consumer"]


def main() -> NoReturn:
    """Runs the command line; every outcome has its exit code (dicomcast_runtime.exit_codes)."""
    try:
        app()
    except StopError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except SystemExit as done:
        sys.exit(ExitCode.CONFIGURATION if done.code == _USAGE_OF_TYPER else done.code)
    sys.exit(ExitCode.OK)


@app.command()
def run(
    config: ConfigFile = None,
    start: Annotated[
        str | None,
        typer.Option(help="Begin here where there is no cursor, in place of DICOMCAST_FEED__START."),
    ] = None,
    exit_when_idle: Annotated[bool, typer.Option(help="End with 0 once everything in the feed is published.")] = False,
    print_config: PrintConfig = False,
) -> None:
    """Publish the feed's changes until SIGTERM or SIGINT."""
    if print_config:
        typer.echo(printed_settings(load_settings(ProducerSettings, config=config), config=config), nl=False)
        return
    settings = _settings(config, start=start)
    configure_logs(settings.log)
    asyncio.run(_run(settings, exit_when_idle=exit_when_idle))


@app.command()
def doctor(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end instead of the lines.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Check everything that `run` needs, one line for each check, with what to do about each that fails.

    Kafka, the topics, what this user may do there, the cursor, the Schema Registry, the DICOM server and its change
    feed, and how far their clocks are off. It only reads, fences no producer, and prints no secret. A check that needs
    one that failed is skipped. Ends with 0 when none failed, warnings or not, else with the code of the first that did:
    the one that `run` ends with for it, or 69 for a server that `run` would wait for.
    """
    from .doctor import run_producer_doctor

    run_producer_doctor(config=config, json=json)


@cursor_app.command("show")
def cursor_show(config: ConfigFile = None) -> None:
    """Print the cursor, the feed's latest sequence and the lag."""
    asyncio.run(_with_cursor_commands(_settings(config), lambda commands: commands.show()))


@cursor_app.command("set")
def cursor_set(
    to: Annotated[
        str, typer.Option(help="Go on after this: `beginning`, `now`, or a sequence; the next one is published first.")
    ],
    config: ConfigFile = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Put the cursor elsewhere, for the feed and topic that are configured now. Fences a running producer (75)."""
    settings = _settings(config, start=to)
    done = asyncio.run(_with_cursor_commands(settings, lambda c: c.set(to, confirm=lambda text: yes or _agreed(text))))
    if not done:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _agreed(text: str) -> bool:
    if not sys.stdin.isatty():
        raise ConfigurationError("the cursor was not set: add --yes where there is no terminal to ask on")
    return typer.confirm(text)


@topics_app.command("plan")
def topics_plan(config: ConfigFile = None, group: Groups = _GROUPS) -> None:
    """Print what `topics apply` would do."""
    _plan(_settings(config), group)


@topics_app.command("apply")
def topics_apply(config: ConfigFile = None, group: Groups = _GROUPS) -> None:
    """Create the topics that are missing and correct the settings of the others. Partition counts are never changed."""
    settings = _settings(config)
    topics, planned = _plan(settings, group)
    _now(lambda: topics.apply(planned, replication_factor=settings.topic.replication_factor))
    typer.echo(f"{len(planned)} topics created or changed" if planned else "nothing to do")


def _settings(config: Path | None, *, start: str | None = None) -> ProducerSettings:
    settings = load_settings(ProducerSettings, config=config)
    if start is None:
        return settings
    try:
        feed = FeedSettings.model_validate({**dict(settings.feed), "start": start})
    except ValueError:
        raise typer.BadParameter(f"{start}: must be `beginning`, `now` or a sequence") from None
    return settings.model_copy(update={"feed": feed})


async def _run(settings: ProducerSettings, *, exit_when_idle: bool) -> None:
    metrics = ProducerMetrics()
    feed = ChangeFeed(settings.feed, metrics)
    bridge = Bridge(
        feed=FeedIdentity.of(settings.feed),
        reader_at=reader_at(feed, settings.feed),
        publisher=_publisher(settings, metrics, schema_id=_schema_id(settings)),
        cursors=CursorReader(settings.kafka, settings.topic.name),
        topic=_topic_check(settings),
        settings=settings.producer,
        instance=uuid4().hex,
        metrics=metrics,
        exit_when_idle=exit_when_idle,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, bridge.stop)
    try:
        async with LoopBeat() as beat:
            watchdog = Watchdog(
                {"kafka thread": lambda: bridge.kafka_beat_at_s, "event loop": lambda: beat.at_s}, limit_s=_STUCK_S
            )
            watchdog.start()
            try:
                with HttpPort(settings.http, routes_of(_health(bridge, beat), metrics.registry)):
                    settle()
                    await bridge.run()
            finally:
                watchdog.end()
    finally:
        await feed.close()


def _health(bridge: Bridge, beat: LoopBeat) -> Health:
    started: Check = lambda: None if bridge.started else "the cursor has not been taken over yet"  # noqa: E731
    return Health(
        alive={"event loop": beats_within(_BEAT_S, lambda: beat.at_s)},
        ready={
            "producer": started,
            "feed": lambda: bridge.waiting_for("feed"),
            "kafka": lambda: bridge.waiting_for("kafka"),
        },
        started={"producer": started},
    )


async def _with_cursor_commands(settings: ProducerSettings, do: Callable[[CursorCommands], Awaitable[T]]) -> T:
    metrics = ProducerMetrics()
    feed = ChangeFeed(settings.feed, metrics)
    commands = CursorCommands(
        settings=settings.feed,
        feed=feed,
        reader=reader_at(feed, settings.feed)(Position(sequence=0)),
        publisher=_publisher(settings, metrics, schema_id=None),
        cursors=CursorReader(settings.kafka, settings.topic.name),
        topic=_topic_check(settings),
        out=typer.echo,
    )
    try:
        return await do(commands)
    finally:
        await feed.close()


def _publisher(settings: ProducerSettings, metrics: ProducerMetrics, *, schema_id: int | None) -> KafkaPublisher:
    return KafkaPublisher(
        settings.kafka,
        settings.topic.name,
        transaction_timeout_s=settings.producer.transaction_timeout_s,
        max_record_bytes=settings.topic.max_record_bytes,
        metrics=metrics,
        schema_id=schema_id,
    )


def _schema_id(settings: ProducerSettings) -> int | None:
    if settings.registry.url is None:
        return None
    registry = SchemaRegistry(settings.registry)
    try:
        return registry.id_for(settings.topic.name, SCHEMA_JSON)
    finally:
        registry.close()


def _topic_check(settings: ProducerSettings) -> TopicCheck:
    return TopicCheck(Topics(settings.kafka), settings.topic, verify=settings.producer.verify_topics)


def _plan(settings: ProducerSettings, groups: Sequence[str]) -> tuple[Topics, tuple[Change, ...]]:
    topics, name = Topics(settings.kafka), settings.topic.name
    events = _now(lambda: topics.describe([name], with_config=False)).get(name)
    partitions = events.partitions if events else settings.topic.partitions
    wanted = wanted_topics(settings.topic, groups=groups, letter_partitions=partitions)
    actual = _now(lambda: topics.describe([topic.name for topic in wanted]))
    planned = changes(wanted, actual)
    for topic in wanted:
        lines = [line for change in planned if change.topic is topic for line in change.lines()]
        typer.echo("\n  ".join([topic.name, *(lines or ["as it must be"])]))
    return topics, planned


def _now(call: Callable[[], T]) -> T:
    try:
        return call()
    except RetryableError as error:
        raise DependencyError(str(error)) from None


if __name__ == "__main__":
    main()
