"""The RESTful interactions of R4 http.html over one store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dicomcast_sandbox.fhir import responses
from dicomcast_sandbox.fhir.bundles import Searches, history_bundle, search_url
from dicomcast_sandbox.fhir.capability import capability_statement
from dicomcast_sandbox.fhir.dialect import Dialect
from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.reads import history, read, vread
from dicomcast_sandbox.fhir.responses import BASE_PATH, base_url
from dicomcast_sandbox.fhir.search import parse_query
from dicomcast_sandbox.fhir.shape import check_type, parse_resource
from dicomcast_sandbox.fhir.store import Key, Store
from dicomcast_sandbox.fhir.transaction import BundleRunner
from dicomcast_sandbox.fhir.writes import Writes, Written

URL_LIMIT = 8_000
"""Jetty and Tomcat, which HAPI runs on, refuse a request line with headers over 8 KiB."""
JSON_TYPES = ("", "application/fhir+json", "application/json", "text/json")


class FhirRoutes:
    """The endpoints. Between reading the store and writing it none of them awaits: requests do not interleave."""

    def __init__(self, store: Store, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect
        self._searches = Searches(store, dialect)
        self._history_totals: dict[Key, int] = {}

    def routes(self) -> list[Route]:
        """All below the base path."""
        type_, instance = f"{BASE_PATH}/{{type}}", f"{BASE_PATH}/{{type}}/{{id}}"
        bases = (BASE_PATH, f"{BASE_PATH}/")
        return [
            Route(f"{BASE_PATH}/metadata", self._metadata, methods=["GET"]),
            *(Route(base, self._next_page, methods=["GET"]) for base in bases),
            *(Route(base, self._bundle, methods=["POST"]) for base in bases),
            Route(f"{type_}/_search", self._search, methods=["GET", "POST"]),
            Route(type_, self._search, methods=["GET"]),
            Route(type_, self._create, methods=["POST"]),
            Route(type_, self._update_where, methods=["PUT"]),
            Route(type_, self._delete_where, methods=["DELETE"]),
            Route(instance, self._read, methods=["GET"]),
            Route(instance, self._update, methods=["PUT"]),
            Route(instance, self._delete, methods=["DELETE"]),
            Route(f"{instance}/_history", self._history, methods=["GET"]),
            Route(f"{instance}/_history/{{version}}", self._vread, methods=["GET"]),
        ]

    async def _metadata(self, request: Request) -> Response:
        return responses.content(request, capability_statement(base_url(request)))

    async def _read(self, request: Request) -> Response:
        return responses.resource(request, read(self._store, _key(request)))

    async def _vread(self, request: Request) -> Response:
        return responses.resource(request, vread(self._store, _key(request), request.path_params["version"]))

    async def _history(self, request: Request) -> Response:
        key = _key(request)
        versions = history(self._store, key)
        if self._dialect.cached_history_total:
            versions = versions[: self._history_totals.setdefault(key, len(versions))]
        return responses.content(request, history_bundle(versions, base_url=base_url(request)))

    async def _search(self, request: Request) -> Response:
        type_, pairs = _type(request), parse_qsl(request.url.query, keep_blank_values=True)
        if request.method == "POST":
            pairs += parse_qsl((await request.body()).decode(), keep_blank_values=True)
        if len(str(request.url)) > URL_LIMIT:
            raise FhirError(414, "The URL is too long: use POST with _search")
        base = base_url(request)
        self_url = f"{base}/{type_}/_search" if request.method == "POST" else search_url(base, type_, pairs)
        bundle = self._searches.first_page(parse_query(type_, pairs), base_url=base, self_url=self_url)
        return responses.content(request, bundle)

    async def _next_page(self, request: Request) -> Response:
        query = request.query_params
        if "_getpages" not in query:
            raise FhirError(400, "This is the base URL of FHIR server. It does not contain a resource type.")
        offset = query.get("_getpagesoffset", "0")
        bundle = self._searches.next_page(query["_getpages"], offset, base_url=base_url(request))
        return responses.content(request, bundle)

    async def _create(self, request: Request) -> Response:
        type_ = _type(request)
        resource = await _resource(request, type_)
        with self._writing() as writes:
            done = writes.create(writes.place(type_, request.headers.get("if-none-exist")), resource)
        return responses.written(request, done, created_by_post=True)

    async def _update(self, request: Request) -> Response:
        key = _key(request)
        resource = await _resource(request, key.type)
        if resource.get("id") != key.id:
            raise FhirError(400, "Can not update resource, its body must contain an ID element that matches the URL")
        with self._writing() as writes:
            done = writes.update(key, resource, if_match=request.headers.get("if-match"))
        return responses.written(request, done)

    async def _update_where(self, request: Request) -> Response:
        type_ = _type(request)
        resource = await _resource(request, type_)
        if not request.url.query:
            raise FhirError(400, "Can not update resource, request URL must contain an ID element")
        with self._writing() as writes:
            done = writes.update_where(writes.place(type_, f"?{request.url.query}", verb="UPDATE"), resource)
        return responses.written(request, done)

    async def _delete(self, request: Request) -> Response:
        key = _key(request)
        with self._writing() as writes:
            done = writes.delete(key, if_match=request.headers.get("if-match"))
        return responses.deleted(request, done)

    async def _delete_where(self, request: Request) -> Response:
        type_ = _type(request)
        if not request.url.query:
            raise FhirError(400, "Can not perform delete, no ID provided")
        with self._writing() as writes:
            deleted = writes.delete_where(type_, f"?{request.url.query}")
        code = "SUCCESSFUL_DELETE" if deleted else "SUCCESSFUL_DELETE_NOT_FOUND"
        return responses.deleted(request, Written(status=200, code=code, version=None))

    async def _bundle(self, request: Request) -> Response:
        bundle = await _resource(request, "Bundle")
        runner = BundleRunner(
            store=self._store,
            searches=self._searches,
            dialect=self._dialect,
            base_url=base_url(request),
            representation=responses.prefers(request, "representation"),
        )
        return responses.content(request, runner.run(bundle))

    @contextmanager
    def _writing(self) -> Iterator[Writes]:
        with self._store.all_or_nothing():
            writes = Writes(self._store, self._dialect)
            yield writes
            writes.check_integrity()


def _type(request: Request) -> str:
    type_: str = request.path_params["type"]
    check_type(type_)
    return type_


def _key(request: Request) -> Key:
    return Key(_type(request), request.path_params["id"])


async def _resource(request: Request, type_: str) -> JsonObject:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in JSON_TYPES:
        raise FhirError(400, "Incorrect Content-Type header value, a FHIR JSON Content-Type is required")
    return parse_resource(await request.body(), type_)
