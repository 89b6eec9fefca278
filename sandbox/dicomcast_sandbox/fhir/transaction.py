"""Transaction and batch Bundles (R4 http.html#transaction)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from dicomcast_sandbox.fhir.bundles import Searches, search_url
from dicomcast_sandbox.fhir.dialect import Dialect
from dicomcast_sandbox.fhir.entries import Entry, check_unique, parse_entries
from dicomcast_sandbox.fhir.json_text import JsonObject, copied
from dicomcast_sandbox.fhir.outcome import FhirError, error_outcome, success_outcome
from dicomcast_sandbox.fhir.reads import read, version_path
from dicomcast_sandbox.fhir.references import references_of
from dicomcast_sandbox.fhir.search import parse_query
from dicomcast_sandbox.fhir.shape import check_type, checked_resource
from dicomcast_sandbox.fhir.store import Key, Store
from dicomcast_sandbox.fhir.writes import Place, Writes, Written


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRunner:
    """Runs Bundles against one store."""

    store: Store
    searches: Searches
    dialect: Dialect
    base_url: str
    representation: bool
    """The entries of the response carry the written resources (Prefer: return=representation)."""

    def run(self, bundle: JsonObject) -> JsonObject:
        """The response Bundle, one entry per request entry in its order (but see Dialect.merge_equal_creates).

        FhirError when a transaction is refused: then nothing of it is changed. A batch answers per entry.
        """
        kind = bundle.get("type", "transaction")
        if kind not in ("transaction", "batch"):
            raise FhirError(400, "Unable to process transaction where incoming Bundle.type is another one")
        entries = parse_entries(bundle)
        answers = self._transaction(entries) if kind == "transaction" else [self._alone(entry) for entry in entries]
        response: JsonObject = {"resourceType": "Bundle", "type": f"{kind}-response"}
        return response | ({"entry": answers} if answers else {})

    def _alone(self, entry: Entry) -> JsonObject:
        try:
            return self._transaction([entry])[0]
        except FhirError as error:
            return _refused(error)

    def _transaction(self, entries: list[Entry]) -> list[JsonObject]:
        check_unique(entries)
        with self.store.all_or_nothing():
            return _Transaction(self, entries).answers()


class _Transaction:
    """One transaction, in the order of R4 http.html#trules: DELETE, POST, PUT, GET."""

    def __init__(self, runner: BundleRunner, entries: list[Entry]) -> None:
        self._runner = runner
        self._writes = Writes(runner.store, runner.dialect)
        self._entries = entries
        self._answers: dict[int, JsonObject] = {}
        self._keys_by_url: dict[str, Key] = {}

    def answers(self) -> list[JsonObject]:
        for entry in self._of("DELETE"):
            self._answers[entry.position] = self._deleted(entry)
        placed = [(entry, self._place(entry)) for entry in (*self._of("POST"), *self._of("PUT"))]
        for entry, place in placed:
            self._write(entry, place)
        self._writes.check_integrity()
        self._writes.check_own_conditions()
        for entry in self._of("GET"):
            self._answers[entry.position] = self._got(entry)
        return [self._answers[position] for position in sorted(self._answers)]

    def _of(self, method: str) -> list[Entry]:
        return [entry for entry in self._entries if entry.method == method]

    def _place(self, entry: Entry) -> Place:
        """Where the entry's resource goes, so that references to its fullUrl can be resolved before any write."""
        check_type(entry.type)
        if entry.method == "POST":
            place = self._writes.place(entry.type, entry.if_none_exist)
        elif entry.id is not None:
            place = Place(key=Key(entry.type, entry.id), existing=None, match_url=None)
        else:
            place = self._writes.place(entry.type, entry.query, verb="UPDATE")
        if entry.full_url is not None:
            self._keys_by_url[entry.full_url] = place.key
        return place

    def _write(self, entry: Entry, place: Place) -> None:
        if entry.method == "POST" and self._runner.dialect.merge_equal_creates and self._is_repeat(entry):
            return
        resource = self._resolved(checked_resource(entry.content(), entry.type))
        if entry.method == "POST":
            written = self._writes.create(place, resource)
        elif entry.id is not None:
            written = self._writes.update(place.key, resource, if_match=entry.if_match)
        else:
            written = self._writes.update_where(place, resource)
        self._answers[entry.position] = self._answer(written)

    def _is_repeat(self, entry: Entry) -> bool:
        earlier = (one for one in self._of("POST") if one.position < entry.position)
        condition = (entry.type, entry.if_none_exist)
        return entry.if_none_exist is not None and any((one.type, one.if_none_exist) == condition for one in earlier)

    def _resolved(self, resource: JsonObject) -> JsonObject:
        """References to the fullUrl of an entry become `Type/id`; FhirError 400 for a urn that no entry has."""
        resolved = copied(resource)
        for reference in references_of(resolved):
            key = self._keys_by_url.get(reference.text)
            if key is not None:
                reference.holder["reference"] = str(key)
            elif reference.text.startswith("urn:"):
                raise FhirError(400, f"Unable to satisfy placeholder ID found in element {reference.path}")
        return resolved

    def _deleted(self, entry: Entry) -> JsonObject:
        check_type(entry.type)
        if entry.id is not None:
            return self._answer(self._writes.delete(Key(entry.type, entry.id), if_match=entry.if_match), status=204)
        deleted = self._writes.delete_where(entry.type, entry.query)
        nothing = Written(status=200, code="SUCCESSFUL_DELETE_NOT_FOUND", version=None)
        return self._answer(deleted[-1] if deleted else nothing, status=204)

    def _got(self, entry: Entry) -> JsonObject:
        try:
            check_type(entry.type)
            if entry.id is not None:
                found = read(self._runner.store, Key(entry.type, entry.id)).content()
            else:
                found = self._searched(entry)
        except FhirError as error:
            return _refused(error)
        return {"resource": found, "response": {"status": _status(200)}}

    def _searched(self, entry: Entry) -> JsonObject:
        base_url, pairs = self._runner.base_url, entry.pairs()
        query = parse_query(entry.type, pairs)
        return self._runner.searches.first_page(
            query, base_url=base_url, self_url=search_url(base_url, entry.type, pairs)
        )

    def _answer(self, written: Written, *, status: int | None = None) -> JsonObject:
        response: JsonObject = {"status": _status(status or written.status)}
        version = written.version
        if version is not None:
            weak = self._runner.dialect.weak_entry_etag
            response["location"] = version_path(version)
            response["etag"] = f'W/"{version.number}"' if weak else str(version.number)
            response["lastModified"] = version.at
        response["outcome"] = success_outcome(written.code, "Successfully done.")
        with_resource = self._runner.representation and version is not None and version.resource is not None
        return ({"resource": version.content()} if with_resource and version else {}) | {"response": response}


def _refused(error: FhirError) -> JsonObject:
    outcome = error_outcome(error.diagnostics, code="exception")
    return {"response": {"status": _status(error.status), "outcome": outcome}}


def _status(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
