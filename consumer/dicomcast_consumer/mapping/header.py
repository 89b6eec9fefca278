"""The data set of an event: split into its attributes once, each decoded only when it is asked for.

A CT header has some 250 attributes of which a mapping reads 50, and the instances of a series say the same in all but
two or three of these: what a reading asked for, and found, is the key under which its result is used again.
"""

import json
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec

from .. import exact_json
from ..errors import RejectedError
from .elements import DataSet
from .shallow import shallow
from .values import Omission

__all__ = ["Header", "Readings"]

T = TypeVar("T")

_Attributes: TypeAlias = dict[str, msgspec.Raw]
_ATTRIBUTES: Final = msgspec.json.Decoder(_Attributes | list[_Attributes])
_ELEMENT: Final = msgspec.json.Decoder()
_EXACT: Final = msgspec.json.Decoder(float_hook=Decimal)
_MOST_BYTES: Final = 16 * 1024


class Header(DataSet):
    """A data set that is no item of a sequence."""

    __slots__ = ("asked",)

    def __init__(self, text: str, sop_instance_uid: str) -> None:
        """Raises RejectedError when the text is not one DICOM JSON data set."""
        super().__init__(_split(text), sop_instance_uid, [])
        self.asked: dict[str, msgspec.Raw | None] = {}
        """The attributes that were asked for, and what they were."""

    def _element(self, tag: str) -> Any:
        raw = self.asked[tag] = super()._element(tag)
        return None if raw is None else _decoded(raw)

    def exact(self, tag: str) -> DataSet:
        """This attribute alone, its numbers with the digits they were written with, what is too deep in it cut."""
        raw = super()._element(tag)
        return DataSet({} if raw is None else {tag: _exact(bytes(raw))}, self._sop_instance_uid, self.omissions)

    def note_again(self, omissions: Iterable[Omission]) -> None:
        """Note what was noted of another instance."""
        for omission in omissions:
            self._note(replace(omission, sop_instance_uid=self._sop_instance_uid))

    def found(self) -> "_Found":
        """What was asked for, and found."""
        present: dict[str, msgspec.Raw] = {}
        absent: set[str] = set()
        for tag, raw in self.asked.items():
            if raw is None:
                absent |= {tag, tag.lower()}
                continue
            key = tag if tag in self._attributes else tag.lower()
            present[key] = raw.copy()  # a Raw holds all of its text
            if key != tag:
                absent.add(tag)
        return _Found(tuple(present), list(present.values()), frozenset(absent))

    def holds(self, known: "_Found") -> bool:
        """Whether these attributes are what they were in another data set, to the byte."""
        attributes = self._attributes
        return list(map(attributes.get, known.present)) == known.values and attributes.keys().isdisjoint(known.absent)


def _split(text: str) -> _Attributes:
    """The attributes. What strict JSON forbids but servers write (NaN, lone surrogates) is tolerated."""
    found: _Attributes | list[_Attributes]
    try:
        found = _ATTRIBUTES.decode(text)
    except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
        found = _split_tolerantly(text)
    if isinstance(found, list):
        if len(found) != 1:
            raise RejectedError("map", "map.metadata_malformed", "the metadata is not one DICOM JSON data set")
        return found[0]
    return found


def _split_tolerantly(text: str) -> _Attributes:
    try:
        found = _any_depth(json.loads, text)
    except (ValueError, RecursionError):
        raise RejectedError("map", "map.metadata_malformed", "the metadata is not JSON") from None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        raise RejectedError("map", "map.metadata_malformed", "the metadata is not one DICOM JSON data set")
    return {tag: msgspec.Raw(json.dumps(element).encode()) for tag, element in found.items()}


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return _ELEMENT.decode(raw)
    except msgspec.MsgspecError:
        pass
    except RecursionError:
        raise RejectedError("map", "map.metadata_malformed", "an attribute is nested without end") from None
    try:
        return json.loads(bytes(raw))
    except (ValueError, RecursionError):  # ValueError: a number of thousands of digits
        raise RejectedError("map", "map.metadata_malformed", "an attribute is not JSON") from None


def _exact(raw: bytes) -> Any:
    try:
        return _EXACT.decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return _any_depth(exact_json.loads, raw.decode())


def _any_depth(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except RecursionError:
        return parse(shallow(text))


@dataclass(frozen=True, slots=True)
class _Found:
    """Keys of attributes as they are written, their values, and the keys that are not there."""

    present: tuple[str, ...]
    values: list[msgspec.Raw]
    absent: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Reading(Generic[T]):
    context: tuple[object, ...]
    found: _Found
    values: T
    omissions: tuple[Omission, ...]


class Readings(Generic[T]):
    """The newest readings, one per key, the least used ones forgotten: bounded."""

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._readings: OrderedDict[object, _Reading[T]] = OrderedDict()

    def read(self, header: Header, read: Callable[[], T], *, key: object, context: tuple[object, ...]) -> T:
        """What `read` makes of the header, or made of another one in which it found the same.

        `read` must depend on nothing but what it asks the header for, the key, and the objects of `context`, which do
        not change. Omissions are noted in the header either way.
        """
        known = self._readings.get(key)
        if known is not None and _are(known.context, context) and header.holds(known.found):
            self._readings.move_to_end(key)
            reading = known
        else:
            reading = _first(header, read, context)
            self._keep(key, reading)
        header.note_again(reading.omissions)
        return reading.values

    def _keep(self, key: object, reading: _Reading[T]) -> None:
        if sum(memoryview(raw).nbytes for raw in reading.found.values) > _MOST_BYTES:
            return
        self._readings[key] = reading
        self._readings.move_to_end(key)
        if len(self._readings) > self._most:
            self._readings.popitem(last=False)


def _first(header: Header, read: Callable[[], T], context: tuple[object, ...]) -> _Reading[T]:
    noted, header.omissions, header.asked = header.omissions, [], {}
    values = read()
    own, header.omissions = tuple(header.omissions), noted
    return _Reading(context, header.found(), values, own)


def _are(known: tuple[object, ...], context: tuple[object, ...]) -> bool:
    return all(map(operator.is_, known, context))
