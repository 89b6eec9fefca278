"""The command line of `dlq replay`; what it does is imported when it runs, so that the other commands are quick."""

from typing import Annotated

import typer

from .command_settings import ConfigFile
from .dlq_options import Code, Since, Source, Study, Until, filters

__all__ = ["replay"]


def replay(
    positions: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PARTITION:OFFSET", show_default=False, help="Choose these letters, as `dlq list` prints them."
        ),
    ] = None,
    study: Study = None,
    code: Code = None,
    since: Since = None,
    until: Until = None,
    source: Source = None,
    all_letters: Annotated[bool, typer.Option("--all", help="Choose all pending letters.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done, letter by letter. Writes nothing.")
    ] = False,
    wait: Annotated[
        float,
        typer.Option("--wait", metavar="SECONDS", min=1, help="Wait this long for a server that is away."),
    ] = 300.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    config: ConfigFile = None,
) -> None:
    """Apply pending dead letters to FHIR, after their cause was mended. Safe while the consumer runs.

    Each letter goes through the same pipeline as in `run`. Where its instance has a later event on the topic, that one
    stands and the letter is done. A letter older than the topic's retention is applied only if the DICOM server bears
    it out. One that is rejected again goes back with one more attempt. What is done is marked and not listed any more.

    Ends with 0 when all chosen letters are done, 65 when some were rejected again, 69 when a server stayed away, 130
    after Ctrl-C, which finishes the letters under way. Whatever is not done stays pending.
    """
    from .dlq_replay_command import Wanted, replay_letters

    chosen = filters(study=study, code=code, since=since, until=until, source=source, positions=positions or ())
    wanted = Wanted(filters=chosen, everything=all_letters, dry_run=dry_run, wait_s=wait, json=json)
    replay_letters(wanted, config=config)
