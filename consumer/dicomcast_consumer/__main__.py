"""dicomcast-consumer: applies the change feed of a DICOM server, read from Kafka, to a FHIR server."""

import asyncio
import os
import sys
from typing import Annotated, NoReturn

import typer
from dicomcast_runtime.errors import StopError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.logs import configure_logs, raised_at
from dicomcast_runtime.printed_settings import printed_settings
from dicomcast_runtime.settings import load_settings
from dicomcast_runtime.version_option import print_version

from . import dlq_command, replay_command
from .command_settings import ConfigFile
from .config import ConsumerSettings
from .doctor.command import doctor
from .map_arguments import map_files
from .status_command import status
from .verify_arguments import verify
from .web.command import web

__all__ = ["app", "main"]

_USAGE_OF_TYPER = 2

app = typer.Typer(
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Applies the change feed of a DICOM server, read from Kafka, to a FHIR server.

Settings come from the environment (DICOMCAST_…) or a TOML file (--config); docs/consumer-commands.md has each command.

Exit codes: 0 done, or drained after SIGTERM; 1 `verify` found differences; 64 a setting or the command line is wrong;
65 some input was rejected, or what was asked for is not there; 69 a server stayed away; 70 stuck, or a bug;
75 another writes the group's offsets; 78 the contract of the topic is broken; 130 `dlq replay` was ended before it was
through.""",
)

PrintConfig = Annotated[
    bool, typer.Option("--print-config", help="Print all settings as a settings file, secrets as ***, and end.")
]


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=print_version("dicomcast-consumer"), is_eager=True, help="Print the version and end."
        ),
    ] = False,
) -> None:
    """Options before the command."""


@app.command()
def run(config: ConfigFile = None, print_config: PrintConfig = False) -> None:
    """Apply events until SIGTERM or SIGINT, then finish what is under way, commit, and end with 0.

    An offset is committed only when everything before it is in FHIR or an acknowledged dead letter. While the FHIR
    server is away it waits. Start as many as the topic has partitions: they share them.
    """
    settings = load_settings(ConsumerSettings, config=config)
    if print_config:
        typer.echo(printed_settings(settings, config=config), nl=False)
        return
    from .run import run_consumer  # the other commands need neither HTTP nor FHIR

    configure_logs(settings.log)
    asyncio.run(run_consumer(settings))


app.command("doctor")(doctor)
app.command("map")(map_files)
app.add_typer(replay_command.app, name="replay")
app.add_typer(dlq_command.app, name="dlq")
app.command("status")(status)
app.command("verify")(verify)
app.command("web")(web)


def main() -> NoReturn:
    """Runs the command line; every outcome has its exit code (dicomcast_runtime.exit_codes), none a traceback."""
    try:
        app()
    except StopError as error:
        _fail(f"error: {error}", error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is left to read what is buffered
        sys.exit(ExitCode.OK)
    except SystemExit as done:
        sys.exit(ExitCode.CONFIGURATION if done.code == _USAGE_OF_TYPER else done.code)
    except Exception as error:  # the last resort: the text of an unknown error may hold patient data
        text = f"error: {type(error).__name__} at {raised_at(error)}: this is a bug, please report it"
        _fail(text, ExitCode.WATCHDOG)
    sys.exit(ExitCode.OK)


def _fail(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
