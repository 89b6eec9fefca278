"""What `map` is given, as events in the order given: DICOM files, folders of them, DICOM JSON, NDJSON, `-`.

An event that has no sequence of its own takes the one after its predecessor's, and so does one whose sequence is not
higher: the order of the input decides. What has no time of its own is of 1970, so that anything real is newer.
"""

import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from dicomcast_schemas import DicomChangeEvent

from .map_input_dicom import is_dicom, read_dicom
from .map_input_json import looks_like_json, read_json
from .map_input_place import InputEvent, InputRejection, Place

__all__ = ["STANDARD_INPUT", "read_input"]

STANDARD_INPUT: Final = "-"
_IN_MEMORY: Final = 64 * 1024 * 1024
_NOT_INSTANCES: Final = frozenset({"DICOMDIR"})


@dataclass(slots=True)
class _Sequences:
    last: int = 0

    def next(self, event: DicomChangeEvent) -> DicomChangeEvent:
        """The event with a sequence above that of its predecessor."""
        self.last = max(event.sequence, self.last + 1)
        return event if event.sequence == self.last else replace(event, sequence=self.last)


def read_input(paths: Iterable[str], *, feed: str) -> Iterator[InputEvent | InputRejection]:
    """Each event, or what cannot be read as one, in the order of the paths, folders by name.

    `feed` is given to what names none. Raises nothing for what a path holds: every problem is an InputRejection.
    """
    sequences = _Sequences()
    for path in paths:
        for item in _of_path(path, feed):
            if isinstance(item, InputEvent):
                yield replace(item, event=sequences.next(item.event))
            else:
                yield item


def _of_path(path: str, feed: str) -> Iterator[InputEvent | InputRejection]:
    if path == STANDARD_INPUT:
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
            yield from _of_pipe(sys.stdin.buffer, copy, Place("-"), feed)
    elif os.path.isdir(path):
        yield from _of_folder(path, feed)
    else:
        yield from _of_file(path, feed)


def _of_folder(folder: str, feed: str) -> Iterator[InputEvent | InputRejection]:
    problems: list[OSError] = []
    empty = True
    for parent, folders, names in os.walk(folder, onerror=problems.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = os.path.join(parent, name)
            if not name.startswith(".") and name not in _NOT_INSTANCES and _is_regular(path) and not _is_output(path):
                empty = False
                yield from _of_file(path, feed)
    if empty and not problems:
        yield InputRejection(Place(folder), "input.empty", "there is no file in it to read")
    for error in problems:
        yield InputRejection(Place(str(error.filename)), "input.unreadable", error.strerror or type(error).__name__)


def _is_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:
        return True  # so that opening it says what is wrong


def _is_output(path: str) -> bool:
    """Whether standard output or standard error goes to this file: reading it would never end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            written, read = os.fstat(stream.fileno()), os.stat(path)
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(read.st_mode) and os.path.samestat(written, read):
            return True
    return False


def _of_file(path: str, feed: str) -> Iterator[InputEvent | InputRejection]:
    place = Place(path)
    if _is_output(path):
        yield InputRejection(place, "input.is_output", "it is the file that this command writes to")
        return
    try:
        with Path(path).open("rb") as stream:
            if stream.seekable():
                yield from _of_stream(stream, place, feed)
            else:
                with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as copy:
                    yield from _of_pipe(stream, copy, place, feed)
    except OSError as error:
        yield InputRejection(place, "input.unreadable", error.strerror or type(error).__name__)


def _of_pipe(pipe: IO[bytes], copy: IO[bytes], place: Place, feed: str) -> Iterator[InputEvent | InputRejection]:
    shutil.copyfileobj(pipe, copy)
    copy.seek(0)
    yield from _of_stream(copy, place, feed)


def _of_stream(stream: IO[bytes], place: Place, feed: str) -> Iterator[InputEvent | InputRejection]:
    head = stream.read(4096)
    stream.seek(0)
    if not head.strip():
        yield InputRejection(place, "input.empty", "there is nothing in it")
    elif not is_dicom(head) and looks_like_json(head):
        yield from read_json(stream, place, feed=feed)
    else:
        yield read_dicom(stream, place, feed=feed)
