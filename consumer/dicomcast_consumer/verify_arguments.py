"""The command line of `dicomcast-consumer verify`; what it does is imported when it runs, so that `--help` is quick."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer
from dicomcast_runtime.errors import ConfigurationError

from .command_settings import ConfigFile
from .uid import is_uid

__all__ = ["Wanted", "verify"]

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command line."""

    studies: Sequence[str]
    source: str | None
    since: str | None
    everything: bool
    repair: bool
    again_after_s: float
    wait_s: float
    report: Path | None


def verify(
    study: Annotated[
        list[str], typer.Option("--study", metavar="UID", help="Compare this study; may be repeated.")
    ] = [],  # noqa: B006
    since: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", show_default=False, help="Compare the studies of this StudyDate or later."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Compare every study of the DICOM server, and every one of ours in FHIR.")
    ] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="FEED", show_default=False, help="Compare with this feed's DICOM server, where there are several."
        ),
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Apply what is missing; nothing is removed.")] = False,
    again_after_s: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Compare once more after this long what differs.")
    ] = 10.0,
    wait_s: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Wait this long for a server that is away.")
    ] = 120.0,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Write the whole outcome there, as JSON.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Compare the DICOM server with the FHIR server, study by study.

    Each study's instances (QIDO-RS) are held against its ImagingStudy. A study that differs is compared once more
    before it counts, because its change may be on its way. Ends with 0 when all is the same, with 1 when something
    differs, with 65 when a study that was named is on neither server. It reads; only `--repair` writes: what is
    missing, by the merge of `run` (If-Match), safely beside members that are at work. It produces nothing to Kafka.
    What is extra in FHIR is reported and never removed.
    """
    wanted = Wanted(
        studies=[_uid(text) for text in study],
        source=source,
        since=_date(since),
        everything=everything,
        repair=repair,
        again_after_s=again_after_s,
        wait_s=wait_s,
        report=report,
    )
    if sum((bool(study), since is not None, everything)) != 1:
        raise ConfigurationError("say which studies: one of --study UID, --since DATE, --all")
    from .verify_command import run_verify  # FHIR, mapping and HTTP take a second to import

    run_verify(wanted, config=config)


def _uid(text: str) -> str:
    uid = text.strip(" \0")
    if not is_uid(uid):
        raise ConfigurationError(f"--study {text!r}: a Study Instance UID has digits and dots, such as 1.2.840.10008")
    return uid


def _date(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise ValueError
        date.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"--since {text!r}: must be a date such as 2026-05-31") from None
    return text.replace("-", "")
