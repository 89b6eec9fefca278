"""One dead letter as `dlq show` and the page show it."""

from collections.abc import Iterable

from dicomcast_schemas import ContractError, decode
from dicomcast_schemas.topic import text_headers

from .command_settings import LetterSettings
from .dlq import DeadLetter, as_document, event_document, read_letter
from .dlq_done import KeptLetter
from .dlq_forms import shown_headers
from .record import Record

__all__ = ["letter_document"]


def letter_document(
    settings: LetterSettings, kept: Iterable[KeptLetter], record: Record, *, metadata: bool = False
) -> dict[str, object]:
    """One letter: headers, state, the event without patient data, what the mapping says now, how to replay it.

    `kept` are the letters of the topic. `metadata` adds the event's DICOM JSON and its path, the key, and the
    headers as they are: patient data.
    """
    from .dlq_verdict import verdict  # the mapping takes a second to import

    letter, schema_by_id = read_letter(record), settings.schema_by_id()
    profiles = {name: section.profile(name) for name, section in settings.sources.items()}
    state, replay = _state(letter, kept)
    document: dict[str, object] = {
        "letter": as_document(letter),
        "state": state,
        "headers": shown_headers(record.headers),
        "event": None,
        "mapping_now": verdict(record, profiles=profiles, options=settings.mapping, schema_by_id=schema_by_id),
        "replay": replay,
    }
    if metadata:
        document["key"] = letter.study_instance_uid
        document["headers"] = dict(text_headers(list(record.headers)))
    try:
        event = decode(record.value, schema_by_id=schema_by_id)
    except ContractError:
        return document
    document["event"] = event_document(event)
    if metadata:
        document["file_path"] = event.file_path
        document["metadata"] = event.metadata
    return document


def _state(letter: DeadLetter, kept: Iterable[KeptLetter]) -> tuple[str, str | None]:
    """How it stands with the letter, and the command that replays its event; None when nothing waits for one."""
    newest = next((each for each in kept if _stands_for(each.letter, letter)), None)
    if newest is None:  # it came after they were read
        return "pending", _replay(letter)
    state = "pending" if newest.mark is None else f"{newest.mark.outcome} at {newest.mark.done_at}"
    if newest.letter.position != letter.position:
        state = f"overtaken by {newest.letter.position}, as the event was rejected again: that letter is {state}"
    return state, _replay(newest.letter) if newest.pending else None


def _stands_for(newest: DeadLetter, letter: DeadLetter) -> bool:
    later = newest.id is not None and newest.id == letter.id and newest.offset > letter.offset
    return later or newest.position == letter.position


def _replay(letter: DeadLetter) -> str:
    return f"dicomcast-consumer dlq replay {letter.position}"
