"""The writes of one request: creates, updates and deletes that are checked together and take effect together."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from dicomcast_sandbox.fhir.dialect import Dialect
from dicomcast_sandbox.fhir.json_text import JsonObject, copied
from dicomcast_sandbox.fhir.meta import same_content, stamped
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.references import checked_key, references_of
from dicomcast_sandbox.fhir.search import Query, find, match_query, matches
from dicomcast_sandbox.fhir.shape import check_id
from dicomcast_sandbox.fhir.store import Key, Store, Version

_ETAG = re.compile(r'(?:W/)?"?([^"]*)"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a write did: `status` as for a single request, `code` in HAPI's words."""

    status: int
    code: str
    version: Version | None
    """The resulting version; None where a delete found nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a conditional write goes: to a resource that exists, or to a new id."""

    key: Key
    existing: Version | None
    match_url: str | None


class Writes:
    """One request's writes; use it inside `store.all_or_nothing()` and end with `check_integrity`."""

    def __init__(self, store: Store, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect
        self._at = instant_now()
        self._request_id = secrets.token_urlsafe(12)
        self._written: list[Key] = []
        self._places: dict[tuple[str, str], Place] = {}

    def place(self, type_: str, match_url: str | None, *, verb: str = "CREATE") -> Place:
        """Where a create or conditional update goes: to what `match_url` finds, else to a new id.

        FhirError 412 when it finds several. The same condition gets the same place again.
        """
        if not match_url:
            return Place(key=Key(type_, self._store.new_id()), existing=None, match_url=None)
        known = self._places.get((type_, match_url))
        if known is None:
            existing = self._only_match(verb, match_query(type_, match_url))
            key = Key(type_, self._store.new_id()) if existing is None else existing.key
            known = Place(key=key, existing=existing, match_url=match_url)
            self._places[type_, match_url] = known
        return known

    def create(self, place: Place, resource: JsonObject) -> Written:
        """The resource at its new place; nothing where the place is taken."""
        existing = place.existing or self._store.live(place.key)
        if existing is not None:
            return Written(status=200, code="SUCCESSFUL_CREATE_WITH_CONDITIONAL_MATCH", version=existing)
        version = self._append(place.key, *self._prepared(place.key, resource), method="POST")
        code = "SUCCESSFUL_CREATE_NO_CONDITIONAL_MATCH" if place.match_url else "SUCCESSFUL_CREATE"
        return Written(status=201, code=code, version=version)

    def update(self, key: Key, resource: JsonObject, *, if_match: str | None = None) -> Written:
        """The resource under its id. Same content: no new version. A deleted or new id: created (R4 update as create).

        FhirError 400 for a new id of digits only, the dialect's stale status for another version than `if_match`.
        """
        latest = self._store.latest(key)
        if latest is None:
            check_id(key.id)
            if key.id.isdigit():
                raise FhirError(
                    400, f"Can not create {key.type}: clients may only assign IDs with a non-numeric character"
                )
        elif if_match is not None and version_of(if_match) != str(latest.number):
            raise FhirError(self._dialect.stale_status, f"Trying to update {key} but this is not the current version")
        stored, targets = self._prepared(key, resource)
        if latest is not None and latest.resource is not None and same_content(latest.resource, stored):
            return Written(status=200, code="SUCCESSFUL_UPDATE_NO_CHANGE", version=latest)
        version = self._append(key, stored, targets, method="PUT")
        if latest is None or latest.resource is None:
            return Written(status=201, code="SUCCESSFUL_UPDATE_AS_CREATE", version=version)
        return Written(status=200, code="SUCCESSFUL_UPDATE", version=version)

    def update_where(self, place: Place, resource: JsonObject) -> Written:
        """Conditional update: what was found is updated, else created. If-Match plays no part (as HAPI)."""
        if place.existing is not None:
            return self.update(place.key, resource)
        version = self._append(place.key, *self._prepared(place.key, resource), method="POST")
        return Written(status=201, code="SUCCESSFUL_UPDATE_NO_CONDITIONAL_MATCH", version=version)

    def delete(self, key: Key, *, if_match: str | None = None) -> Written:
        """Gone; that it already was, or never existed, is no error."""
        latest = self._store.latest(key)
        if latest is None:
            return Written(status=200, code="SUCCESSFUL_DELETE_NOT_FOUND", version=None)
        if latest.resource is None:
            return Written(status=200, code="SUCCESSFUL_DELETE_ALREADY_DELETED", version=latest)
        stale = if_match is not None and version_of(if_match) != str(latest.number)
        if stale and self._dialect.delete_honours_if_match:
            raise FhirError(self._dialect.stale_status, f"Trying to delete {key} but this is not the current version")
        gone = Version(key=key, number=latest.number + 1, at=self._at, method="DELETE", resource=None)
        self._store.append(gone)
        self._written.append(key)
        return Written(status=200, code="SUCCESSFUL_DELETE", version=gone)

    def delete_where(self, type_: str, query: str) -> list[Written]:
        """Every match is deleted."""
        return [self.delete(version.key) for version in find(self._store, match_query(type_, query))]

    def check_integrity(self) -> None:
        """FhirError 400 when something written refers to nothing, 409 when something deleted is still referred to."""
        for key in self._written:
            live = self._store.live(key)
            if live is None:
                self._check_unreferenced(key)
                continue
            for target in live.targets:
                if self._store.live(target) is None:
                    raise FhirError(400, f"Resource {target} not found or deleted, specified in {key.type}")

    def check_own_conditions(self) -> None:
        """FhirError 412 when a create is not found by its own condition: a repeat would make a second one (as HAPI)."""
        for place in self._places.values():
            live = self._store.live(place.key)
            if place.existing is not None or place.match_url is None or live is None:
                continue
            if not matches(live, match_query(place.key.type, place.match_url)):
                raise FhirError(412, "Invalid conditional URL. The given resource is not matched by this URL.")

    def _check_unreferenced(self, key: Key) -> None:
        referrers = self._store.referrers(key)
        if referrers:
            raise FhirError(409, f"Unable to delete {key} because {referrers[0]} has a reference to this resource")

    def _only_match(self, verb: str, query: Query) -> Version | None:
        found = find(self._store, query)
        if len(found) > 1:
            raise FhirError(412, f"Failed to {verb} {query.type}: the match URL matched {len(found)} resources")
        return found[0] if found else None

    def _append(self, key: Key, stored: JsonObject, targets: frozenset[Key], *, method: str) -> Version:
        number = int(stored["meta"]["versionId"])
        version = Version(key=key, number=number, at=self._at, method=method, resource=stored, targets=targets)
        self._store.append(version)
        self._written.append(key)
        return version

    def _prepared(self, key: Key, resource: JsonObject) -> tuple[JsonObject, frozenset[Key]]:
        """The next version's content, and what it refers to."""
        latest = self._store.latest(key)
        number = 1 if latest is None else latest.number + 1
        former = None if latest is None else latest.resource
        stored = stamped(copied(resource), former, id_=key.id, number=number, at=self._at, request_id=self._request_id)
        return stored, frozenset(self._resolved(stored))

    def _resolved(self, stored: JsonObject) -> list[Key]:
        """What the resource refers to; references are made plain `Type/id` in place."""
        keys = []
        for reference in references_of(stored):
            type_, mark, _ = reference.text.partition("?")
            key = self._inline_match(type_, reference.text) if mark and type_.isalpha() else checked_key(reference)
            reference.holder["reference"] = str(key)
            keys.append(key)
        return keys

    def _inline_match(self, type_: str, text: str) -> Key:
        found = find(self._store, match_query(type_, text))
        if len(found) != 1:
            raise FhirError(412 if found else 404, f"Invalid match URL for {type_} - {len(found)} resources match")
        return found[0].key


def version_of(etag: str) -> str:
    """`3` of `W/"3"`, `"3"` and `3`."""
    match = _ETAG.fullmatch(etag.strip())
    return match[1] if match else etag


def instant_now() -> str:
    """An R4 instant with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
