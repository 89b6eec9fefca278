"""The as-of marks: which event each shared value of a resource stems from, kept in meta.extension.

One extension per distinct mark: {url: AS_OF_URL, extension: [feed, sequence, timestamp, values]}, where `values` names
the values of that mark, separated by spaces: "description started series/1.2.3 series/1.2.4/number". `series/1.2.3`
alone stands for every element of that series which is there.

An event older than a value's mark only fills it; an equal or newer one overwrites it and takes the mark. So a resource
does not depend on the order in which dead letters, partitions and feeds come. Marks alone are never a reason to write.
"""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from functools import lru_cache

from .identity import AS_OF_URL, Resource
from .values import Mark

__all__ = ["SERIES_ELEMENTS", "Marks", "differs", "without_marks"]

SERIES_ELEMENTS = ("number", "modality", "description", "bodySite", "laterality", "started", "performer")
"""The elements of a series that carry a mark; their names are all that a series can have here."""


class Marks:
    """The marks of one resource while it is merged: value name → mark."""

    def __init__(self, resource: Resource) -> None:
        self._marks: dict[str, Mark] = {}
        for extension in (resource.get("meta") or {}).get("extension") or ():
            if extension.get("url") == AS_OF_URL:
                self._read(extension)

    def _read(self, extension: Resource) -> None:
        mark, names = _parse(extension)
        if mark is not None:
            self._marks.update(dict.fromkeys(names, mark))

    def get(self, name: str) -> Mark | None:
        """The mark of a value; those of a series' elements after `spread_series`."""
        return self._marks.get(name)

    def is_older(self, mark: Mark, name: str) -> bool:
        """Whether `mark` is older than what the value has; a value without a mark is older than everything."""
        known = self.get(name)
        return known is not None and mark.older_than(known)

    def take(self, name: str, mark: Mark) -> None:
        """Give the value this mark, unless it has a newer one."""
        known = self._marks.get(name)
        if known is None or not mark.older_than(known):
            self._marks[name] = mark

    def drop(self, name: str) -> None:
        """Forget the value's mark."""
        self._marks.pop(name, None)

    def spread_series(self, uid: str, elements: list[str]) -> None:
        """Give the mark of the whole series to each of these elements of it, before they are merged."""
        mark = self._marks.pop(f"series/{uid}", None)
        if mark is not None:
            for element in elements:
                self._marks.setdefault(f"series/{uid}/{element}", mark)

    def gather_series(self, uid: str, elements: list[str]) -> None:
        """The reverse: one name where all elements of the series have one mark. These are all that it has."""
        whole = f"series/{uid}"
        known = {element: self._marks.pop(f"{whole}/{element}", None) for element in SERIES_ELEMENTS}
        marks = [known[element] for element in elements]
        first = marks[0] if marks else None
        if first is not None and marks.count(first) == len(marks):
            self._marks[whole] = first
        else:
            self._marks.pop(whole, None)
            self._marks |= {f"{whole}/{name}": mark for name in elements if (mark := known[name]) is not None}

    def drop_series(self, uid: str) -> None:
        """Forget the marks of the series."""
        if self._marks:
            whole = f"series/{uid}"
            self._marks.pop(whole, None)
            for element in SERIES_ELEMENTS:
                self._marks.pop(f"{whole}/{element}", None)

    def keep_series(self, uids: Collection[str]) -> None:
        """Forget the marks of all other series."""
        for name in [name for name in self._marks if name.startswith("series/") and name.split("/", 2)[1] not in uids]:
            del self._marks[name]

    def extensions(self) -> list[Resource]:
        """The extensions that hold these marks, sorted."""
        objects = {id(mark): mark for mark in self._marks.values()}  # mostly one for all the names of a mark
        if len(objects) == 1:
            return [_extension(_key(mark), self._marks) for mark in objects.values()]
        names: dict[tuple[str, int, str], list[str]] = {_key(mark): [] for mark in objects.values()}
        of_object = {identity: names[_key(mark)] for identity, mark in objects.items()}
        for name, mark in self._marks.items():
            of_object[id(mark)].append(name)
        return [_extension(key, found) for key, found in sorted(names.items())]

    def write(self, resource: Resource) -> None:
        """Put these marks into meta.extension; other extensions stay, first."""
        meta = dict(resource.get("meta") or {})
        others = [e for e in meta.get("extension") or () if e.get("url") != AS_OF_URL]
        extensions = others + self.extensions()
        meta.pop("extension", None)
        first = {"id": meta.pop("id")} if "id" in meta else {}
        if extensions:
            first["extension"] = extensions
        if first or meta:
            resource["meta"] = {**first, **meta}


def _key(mark: Mark) -> tuple[str, int, str]:
    return mark.feed, mark.sequence, _instant(mark.timestamp)


@lru_cache(maxsize=256)
def _instant(timestamp: datetime) -> str:
    return timestamp.astimezone(UTC).isoformat(timespec="microseconds")


def _extension(key: tuple[str, int, str], names: Iterable[str]) -> Resource:
    feed, sequence, instant = key
    return {
        "extension": [
            {"url": "feed", "valueString": feed},
            {"url": "sequence", "valueString": str(sequence)},
            {"url": "timestamp", "valueInstant": instant},
            {"url": "values", "valueString": " ".join(sorted(names))},
        ],
        "url": AS_OF_URL,
    }


def _parse(extension: Resource) -> tuple[Mark | None, list[str]]:
    """The mark and the names of an extension; no mark when it is not as we write it."""
    parts = {e.get("url"): e.get("valueString") or e.get("valueInstant") for e in extension.get("extension") or ()}
    find = parts.get
    mark = _mark(str(find("feed") or ""), str(find("sequence") or ""), str(find("timestamp") or ""))
    return mark, str(find("values") or "").split()


@lru_cache(maxsize=1024)
def _mark(feed: str, sequence: str, timestamp: str) -> Mark | None:
    try:
        mark = Mark(feed=feed, sequence=int(sequence), timestamp=datetime.fromisoformat(timestamp))
    except ValueError:
        return None
    return mark if feed and mark.timestamp.tzinfo else None


def differs(resource: Resource, other: Resource) -> bool:
    """Whether two versions differ in more than our marks: then one has to be written over the other."""
    if {**resource, "meta": None} != {**other, "meta": None}:
        return True
    return resource.get("meta") is not other.get("meta") and _meta_without_marks(resource) != _meta_without_marks(other)


def without_marks(resource: Resource) -> Resource:
    """The resource without our marks."""
    meta = _meta_without_marks(resource)
    bare = {name: value for name, value in resource.items() if name != "meta"}
    return {**bare, "meta": meta} if meta else bare


def _meta_without_marks(resource: Resource) -> Resource:
    meta = dict(resource.get("meta") or {})
    others = [e for e in meta.pop("extension", None) or () if e.get("url") != AS_OF_URL]
    if others:
        meta["extension"] = others
    return meta
