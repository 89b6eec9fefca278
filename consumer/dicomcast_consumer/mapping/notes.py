"""StudyDescription in ImagingStudy.note and ImagingStudy.description."""

from .identity import Resource
from .marks import Marks
from .values import Mark

__all__ = ["NOTE_ID", "drop_repeated_notes", "merge_description"]

NOTE_ID = "dicom-00081030"
"""Element id of our note."""


def merge_description(study: Resource, text: str | None, mark: Mark, marks: Marks) -> None:
    """Replace our note as a whole; the description only when it is absent or still says what our note said.

    On a server that drops element ids our note is the one that says what the description says and has neither author
    nor time. Everybody else's notes stay as they are, before ours.
    """
    if text is None:
        return
    notes = list(study.get("note") or ())
    place = _place(notes, study.get("description"))
    former = notes[place].get("text") if place is not None else None
    if former is not None and former != text and marks.is_older(mark, "description"):
        return
    ours = {"id": NOTE_ID, "text": text}
    if place is None:
        place = _place(notes, text)
    if place is None:
        notes.append(ours)
    else:
        notes[place] = ours
    study["note"] = notes
    if study.get("description") in (None, former):
        study["description"] = text
    marks.take("description", mark)


def _place(notes: list[Resource], description: str | None) -> int | None:
    if not notes:
        return None
    by_id = [index for index, note in enumerate(notes) if note.get("id") == NOTE_ID]
    bare = [
        index
        for index, note in enumerate(notes)
        if description is not None and note.get("text") == description and set(note) <= {"text"}
    ]
    return next(iter(by_id + bare), None)


def drop_repeated_notes(study: Resource) -> None:
    """Of bare notes with one text only the first stays."""
    kept: list[Resource] = []
    for note in study.get("note") or ():
        if set(note) <= {"text"} and any(other.get("text") == note.get("text") for other in kept):
            continue
        kept.append(note)
    if kept:
        study["note"] = kept
