"""The command line of `dicomcast-consumer doctor`; what it does is imported when it runs."""

from typing import Annotated

import typer

from ..command_settings import ConfigFile

__all__ = ["doctor"]


def doctor(
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object at the end instead of the lines.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Check everything that `run` needs, one line for each check, with what to do about each that fails.

    Kafka, its topics, what this user may do there, the group's offsets, the Schema Registry, the FHIR server and what
    it says it can do, the DICOM servers, and how far their clocks are off. It only reads, and prints no secret. A check
    that needs one that failed is skipped. Ends with 0 when none failed, warnings or not, else with the code of the
    first that did: the one that `run` ends with for it, or 69 for a server that `run` would wait for.
    """
    from .checks import run_consumer_doctor

    run_consumer_doctor(config=config, json=json)
