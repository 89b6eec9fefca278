"""Lists that others write to as well: which entries are the same, and how those of an event are merged in.

What is said less and more exactly in two events is one entry in either order: a text gives its place to the code that
means it, a number without a system to the one with it.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

from .as_of import canonical, digest, digest_of
from .identity import ACCESSION_CODE, Resource
from .marks import Marks
from .values import Mark

__all__ = ["MOST", "Identity", "by_codes", "by_number", "by_order", "by_person", "merge_list"]

MOST = 200
"""So many entries of ours a list has at most, those that come first by their text, whatever order they were said in."""
_FEW = 8
"""A list of so many is looked through faster than it is indexed."""


class Identity(NamedTuple):
    """By what an entry is known to be the same as another one."""

    exact: tuple[Hashable, ...]
    """It is the same as an entry with one of these."""
    vague: Hashable | None = None
    """An entry that has only this is less than any that has it too."""


def by_number(identifier: Resource) -> Identity:
    """An identifier: its value with the system; an accession number is also meant where no system is said."""
    value, system = identifier.get("value"), identifier.get("system")
    is_bare = system is None and "type" not in identifier
    return Identity(((system, value),) if system else (), value if is_bare or _is_accession(identifier) else None)


def by_order(reference: Resource) -> Identity:
    """A reference to an order: by its identifier."""
    return by_number(reference.get("identifier") or {})


def by_person(reference: Resource) -> Identity:
    """A reference to somebody: the same identifier; without one the same name."""
    identifier = reference.get("identifier") or {}
    if identifier.get("value"):
        return Identity(((identifier.get("system"), identifier["value"]),))
    return Identity((), reference.get("display"))


def by_codes(concept: Resource) -> Identity:
    """A CodeableConcept: its codes; without one its text."""
    codes = tuple((c.get("system"), c.get("code")) for c in concept.get("coding") or () if c.get("code"))
    return Identity(codes, concept.get("text"))


def _is_accession(identifier: Resource) -> bool:
    codings = (identifier.get("type") or {}).get("coding") or ()
    return any(coding.get("code") == ACCESSION_CODE for coding in codings)


def merge_list(
    target: Resource,
    element: str,
    entries: list[Resource],
    *,
    identify: Callable[[Resource], Identity],
    replaces: bool,
    mark: Mark,
    marks: Marks,
) -> bool:
    """Add entries to a list that others write to as well: theirs stay first and untouched, ours come sorted after.

    An entry that is there already is not added. With `replaces` (an update, or a re-store) entries that are not there
    yet take the place of ours; an event older than such a replacement adds nothing. False: there were more than MOST.
    """
    known = target.get(element) or []
    if len(known) <= _FEW and marks.get(element) is None and all(entry in known for entry in entries):
        for entry in entries:
            _confirm(f"{element}/{digest(entry)}", mark, marks)
        return True
    found = _Entries(element, known, identify, marks)
    if found.ours and marks.is_older(mark, element):
        return True
    said = [(entry, identify(entry)) for entry in entries]
    if replaces and found.ours and found.lacks(said):
        found = found.replaced(mark)
    for entry, identity in said:
        found.put(entry, identity, mark)
    is_whole = found.cut()
    if found.is_changed:
        target[element] = found.json()
    return is_whole


class _Entries:
    """The entries of a list on its way."""

    def __init__(
        self, element: str, known: list[Resource], identify: Callable[[Resource], Identity], marks: Marks
    ) -> None:
        self._element = element
        self._identify = identify
        self._marks = marks
        self._theirs: list[Resource] = []
        self.ours: dict[str, tuple[bytes, Resource]] = {}
        """By their name in the marks, each with the text to sort it by."""
        self.is_changed = False
        self._exact: dict[Hashable, str] = {}
        self._covered: dict[Hashable, str] = {}
        """What an entry says beside its exact identity."""
        self._vague: dict[Hashable, str] = {}
        """What an entry says that has no exact identity."""
        for entry in known:
            text, name = self._named(entry)
            if marks.get(name) is None:
                self._theirs.append(entry)
            else:
                self.ours[name] = text, entry
            self._index(identify(entry), name)

    def _named(self, entry: Resource) -> tuple[bytes, str]:
        text = canonical(entry)
        return text, f"{self._element}/{digest_of(text)}"

    def _index(self, identity: Identity, name: str) -> None:
        exact, vague = identity
        for key in exact:
            self._exact.setdefault(key, name)
        if vague is not None:
            (self._covered if exact else self._vague).setdefault(vague, name)

    def _same(self, identity: Identity) -> str | None:
        """The name of the entry that says the same, or the same more exactly."""
        exact, vague = identity
        if exact:
            return next((self._exact[key] for key in exact if key in self._exact), None)
        return self._covered.get(vague) or self._vague.get(vague)

    def lacks(self, entries: list[tuple[Resource, Identity]]) -> bool:
        """Whether one of them is not there, other than because the list is full."""
        missing = [entry for entry, identity in entries if self._same(identity) is None]
        if not missing or len(self.ours) < MOST:
            return bool(missing)
        last = max(text for text, _ in self.ours.values())
        return any(canonical(entry) < last for entry in missing)

    def replaced(self, mark: Mark) -> "_Entries":
        """These entries without those of ours that are not newer; the list is of this mark."""
        dropped = {name for name in self.ours if not self._marks.is_older(mark, name)}
        for name in dropped:
            self._marks.drop(name)
        self._marks.take(self._element, mark)
        kept = [entry for name, (_, entry) in self.ours.items() if name not in dropped]
        return _Entries(self._element, [*self._theirs, *kept], self._identify, self._marks)

    def put(self, entry: Resource, identity: Identity, mark: Mark) -> None:
        """Add what is not there, in the place of what says less; what is there and ours is now of this mark."""
        name = self._same(identity)
        if name is None:
            text, name = self._named(entry)
            self.ours[name] = text, entry
            self._marks.take(name, mark)
            self._index(identity, name)
            self.is_changed = True
        else:
            _confirm(name, mark, self._marks)
        if identity.exact and self._vague and self._vague.get(identity.vague) in self.ours:
            self._supplant(self._vague.pop(identity.vague), name)

    def _supplant(self, vague: str, name: str) -> None:
        """Take out what the named entry says more exactly: that has its mark now, where it is newer."""
        del self.ours[vague]
        self.is_changed = True
        mark = self._marks.get(vague)
        self._marks.drop(vague)
        if mark is not None:
            _confirm(name, mark, self._marks)

    def cut(self) -> bool:
        """Leave out what is too much, after all are put; whether nothing was."""
        if len(self.ours) <= MOST:
            return True
        for name in sorted(self.ours, key=lambda name: self.ours[name][0])[MOST:]:
            del self.ours[name]
            self._marks.drop(name)
        return False

    def json(self) -> list[Resource]:
        """The list as it is to be."""
        return [*self._theirs, *(entry for _, entry in sorted(self.ours.values(), key=_text))]


def _text(named: tuple[bytes, Resource]) -> bytes:
    return named[0]


def _confirm(name: str, mark: Mark, marks: Marks) -> None:
    """An entry that is there: if it is ours it is now of this mark."""
    if marks.get(name) is not None:
        marks.take(name, mark)
