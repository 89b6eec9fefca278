"""The command line of `dicomcast-consumer map`; what it does is imported when it runs, so that `--help` is quick."""

from typing import Annotated

import typer

from .command_settings import ConfigFile

__all__ = ["map_files"]


def map_files(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE",
            show_default=False,
            help="Read these: DICOM files, folders of them, DICOM JSON (one data set or an array), change events (one "
            "JSON object a line); `-` is standard input.",
        ),
    ],
    source_url: Annotated[
        str | None,
        typer.Option(
            "--source-url",
            metavar="URL",
            show_default=False,
            help="DICOMweb root that the instances can be read from, written as Endpoint.address; in place of "
            "`DICOMCAST_SOURCES__<FEED>__DICOMWEB_URL`.",
        ),
    ] = None,
    feed: Annotated[
        str | None,
        typer.Option(
            "--feed",
            metavar="NAME",
            show_default=False,
            help="Change feed whose `DICOMCAST_SOURCES__<FEED>__…` apply to input that names none; default: the only "
            "one that is configured.",
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Map DICOM to FHIR without any network: the transaction Bundle of a first run, on standard output.

    One Bundle for all of the input, studies ordered by their UID. The order of the input stands for that of events.
    On standard error, one JSON object a line: attributes that were left out ({"sop_instance_uid", "attribute",
    "reason"; "mapped" when it is doubtful but was mapped}) and input that was rejected ({"input", "line", "code",
    "reason"}). What is rejected does not keep the rest from being written, and ends with exit code 65.
    """
    from .map_command import map_to_bundle

    map_to_bundle(paths, source_url=source_url, feed=feed, config=config)
