"""The option `--version` of a command line."""

import importlib.metadata
from collections.abc import Callable

import typer

__all__ = ["print_version"]


def print_version(program: str) -> Callable[[bool], None]:
    """A callback that prints the program's version and ends, when it is asked for."""

    def when_wanted(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{program} {importlib.metadata.version('dicomcast')}")
            raise typer.Exit

    return when_wanted
