"""What `dlq list` and `dlq replay` choose letters by."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from dicomcast_runtime.errors import ConfigurationError

from .dlq import Filters, parse_position
from .replay_target import Arrival, parse_target

__all__ = ["Code", "Since", "Source", "Study", "Until", "filters"]

Study = Annotated[
    str | None, typer.Option("--study", metavar="UID", show_default=False, help="Choose only letters of this study.")
]
Code = Annotated[
    str | None,
    typer.Option(
        "--code",
        metavar="CODE",
        show_default=False,
        help="Choose only letters with this code, such as map.patient_id_missing, or of this stage: decode, map, fhir, "
        "source.",
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="TIME",
        show_default=False,
        help="Choose only letters that failed then or later: 2026-05-01T06:00:00Z (UTC offset required), or 6h for "
        "that long ago.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        "--until",
        metavar="TIME",
        show_default=False,
        help="Choose only letters that failed before; as --since.",
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        metavar="PARTITION:OFFSET",
        show_default=False,
        help="Choose only the letter of the event at this place of the topic of changes.",
    ),
]


def filters(
    *,
    study: str | None = None,
    code: str | None = None,
    since: str | None = None,
    until: str | None = None,
    source: str | None = None,
    positions: Sequence[str] = (),
) -> Filters:
    """The filters of the options as given. Raises ConfigurationError, naming what is wrong."""
    return Filters(
        study=study,
        code=code,
        since=_time("--since", since),
        until=_time("--until", until),
        source=None if source is None else _place(source),
        positions=frozenset(map(_place, positions)) if positions else None,
    )


def _place(text: str) -> tuple[int, int]:
    try:
        return parse_position(text)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def _time(option: str, text: str | None) -> datetime | None:
    if text is None:
        return None
    kind = "datetime" if "T" in text and text[:1].isdigit() and "-" in text else "duration"
    try:
        target = parse_target([f"{kind}:{text}"], study=None, now=datetime.now(UTC))
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}") from None
    assert isinstance(target, Arrival)
    return target.at
