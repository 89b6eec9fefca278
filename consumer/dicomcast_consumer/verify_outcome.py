"""What `verify` found, as it is printed and written down: UIDs, counts and kinds, no patient's value."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import typer
from dicomcast_runtime.errors import InputError
from dicomcast_runtime.exit_codes import ExitCode

from .counted import counted
from .output_file import write_file
from .table import print_table
from .verify import Finding, Kind, StudyVerdict

__all__ = ["Outcome", "tell"]

_COLUMNS: Final = ("study", ">on DICOM", ">in FHIR", "what differs")
_SHOWN: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome for all studies."""

    compared: int
    differing: tuple[StudyVerdict, ...]
    nowhere: tuple[str, ...]
    """Studies that were named and of which neither server has an instance."""
    repaired: int
    refused: dict[str, Counter[str]]
    """By study: how many of its instances cannot be applied, by dead-letter code."""


def tell(outcome: Outcome, *, repair: bool, report: Path | None) -> None:
    """Prints it, and writes the report.

    Raises typer.Exit(1) when something differs, InputError when a study that was named is nowhere, ConfigurationError
    when the report cannot be written.
    """
    if outcome.differing:
        print_table(_COLUMNS, [_row(verdict) for verdict in outcome.differing[:_SHOWN]])
        more = len(outcome.differing) - _SHOWN
        if more > 0:
            typer.echo(f"... and {more} more: all of them with --report FILE")
    for study, codes in sorted(outcome.refused.items()):
        reasons = ", ".join(f"{code} {count}" for code, count in sorted(codes.items()))
        typer.echo(f"{study}: refused by the mapping or the FHIR server: {reasons} (see `dlq list --study {study}`)")
    repaired = f", {outcome.repaired} repaired" if repair else ""
    compared = counted(outcome.compared, "study", "studies")
    typer.echo(f"{compared} compared{repaired}, {len(outcome.differing)} differ")
    if report is not None:
        write_file("--report", report, orjson.dumps(_document(outcome), option=orjson.OPT_INDENT_2) + b"\n")
    if outcome.nowhere:
        named = ", ".join(outcome.nowhere)
        raise InputError(f"neither server has an instance of the study {named}: check the UID")
    if outcome.differing:
        raise typer.Exit(ExitCode.DIFFERENCES)


def _row(verdict: StudyVerdict) -> tuple[str, ...]:
    kinds = dict.fromkeys(finding.kind for finding in verdict.findings)
    text = ", ".join(part for kind in kinds for part in _parts(kind, verdict.of(kind)))
    return verdict.study_instance_uid, str(verdict.on_dicom), str(verdict.on_fhir), text


def _parts(kind: Kind, findings: Sequence[Finding]) -> Iterator[str]:
    """Of one kind: the whole study, how many instances, which elements."""
    instances = sum(finding.place is not None for finding in findings)
    elements = [finding.element for finding in findings if finding.place is None and finding.element is not None]
    if len(findings) > instances + len(elements):
        yield f"{kind} (whole study)"
    if instances:
        yield f"{kind} {instances}"
    if elements:
        yield f"{kind} ({', '.join(elements)})"


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "studiesCompared": outcome.compared,
        "studiesRepaired": outcome.repaired,
        "studiesDiffering": [verdict.document() for verdict in outcome.differing],
        "studiesNowhere": list(outcome.nowhere),
        "refused": {study: dict(codes) for study, codes in outcome.refused.items()},
    }
