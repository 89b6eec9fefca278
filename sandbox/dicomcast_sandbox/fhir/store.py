"""The resources, every version of them, with the two indexes that searches and integrity need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from dicomcast_sandbox.fhir.json_text import JsonObject


class Key(NamedTuple):
    """Type and logical id."""

    type: str
    id: str

    def __str__(self) -> str:
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a resource; a deletion is a version without content. `resource` is not to be changed."""

    key: Key
    number: int
    at: str
    method: str
    resource: JsonObject | None
    targets: frozenset[Key] = frozenset()
    """What it refers to."""

    def content(self) -> JsonObject:
        """The resource; only for versions that have one."""
        if self.resource is None:
            raise LookupError(f"{self.key} is deleted")
        return self.resource


class Store:
    """Versions by key. Not for several threads at once: the server's event loop owns it."""

    def __init__(self) -> None:
        self._versions: dict[Key, list[Version]] = {}
        self._live: defaultdict[str, dict[Key, None]] = defaultdict(dict)
        self._by_identifier: defaultdict[tuple[str, str], dict[Key, None]] = defaultdict(dict)
        self._referrers: defaultdict[Key, dict[Key, None]] = defaultdict(dict)
        self._appended: list[Key] = []
        self._last_id = 999

    def new_id(self) -> str:
        """Digits, never given twice, not even after a rollback."""
        self._last_id += 1
        return str(self._last_id)

    def latest(self, key: Key) -> Version | None:
        """The newest version, a deletion included; None when the id was never used."""
        versions = self._versions.get(key)
        return versions[-1] if versions else None

    def live(self, key: Key) -> Version | None:
        """The newest version unless it is a deletion."""
        latest = self.latest(key)
        return latest if latest is not None and latest.resource is not None else None

    def versions(self, key: Key) -> list[Version]:
        """Oldest first."""
        return list(self._versions.get(key, ()))

    def all(self, type_: str) -> list[Version]:
        """The live resources of a type, in the order of their creation."""
        return [self._versions[key][-1] for key in list(self._live[type_])]

    def with_identifier(self, type_: str, value: str) -> list[Version]:
        """The live resources that carry an identifier with this value, whatever its system."""
        return [self._versions[key][-1] for key in list(self._by_identifier.get((type_, value), ()))]

    def referrers(self, key: Key) -> list[Key]:
        """The live resources that refer to `key`."""
        return list(self._referrers.get(key, ()))

    def counts(self) -> dict[str, int]:
        """Live resources by type, those with none left out."""
        return {type_: len(keys) for type_, keys in sorted(self._live.items()) if keys}

    def append(self, version: Version) -> None:
        """Make `version` the newest of its key."""
        self._unindex(self.live(version.key))
        self._versions.setdefault(version.key, []).append(version)
        self._appended.append(version.key)
        self._index(version.key)

    @contextmanager
    def all_or_nothing(self) -> Iterator[None]:
        """An exception in the block takes every version back that the block appended."""
        self._appended = []
        try:
            yield
        except BaseException:
            for key in reversed(self._appended):
                self._take_back(key)
            raise
        finally:
            self._appended = []

    def _take_back(self, key: Key) -> None:
        self._unindex(self.live(key))
        self._versions[key].pop()
        if not self._versions[key]:
            del self._versions[key]
        self._index(key)

    def _index(self, key: Key) -> None:
        version = self.live(key)
        if version is None or version.resource is None:
            self._live[key.type].pop(key, None)
            return
        self._live[key.type][key] = None
        for value in _identifier_values(version.resource):
            self._by_identifier[key.type, value][key] = None
        for target in version.targets:
            self._referrers[target][key] = None

    def _unindex(self, version: Version | None) -> None:
        if version is None or version.resource is None:
            return
        key = version.key
        for value in _identifier_values(version.resource):
            self._by_identifier[key.type, value].pop(key, None)
        for target in version.targets:
            self._referrers[target].pop(key, None)


def _identifier_values(resource: JsonObject) -> set[str]:
    found = resource.get("identifier", [])
    identifiers = found if isinstance(found, list) else [found]
    return {str(one["value"]) for one in identifiers if isinstance(one, dict) and "value" in one}
