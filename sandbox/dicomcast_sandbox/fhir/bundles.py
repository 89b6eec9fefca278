"""Bundles that the server answers with: searchset and history."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from dicomcast_sandbox.fhir.dialect import Dialect
from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.reads import version_path
from dicomcast_sandbox.fhir.search import Query, find, included
from dicomcast_sandbox.fhir.store import Key, Store, Version

KEPT_SEARCHES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSearch:
    """A search whose next pages were promised: the matches as they were when it ran."""

    query: Query
    keys: tuple[Key, ...]


class Searches:
    """Runs searches and pages through them. `next` is a link to the base URL, good while the search is kept."""

    def __init__(self, store: Store, dialect: Dialect) -> None:
        self._store = store
        self._dialect = dialect
        self._kept: OrderedDict[str, KeptSearch] = OrderedDict()

    def first_page(self, query: Query, *, base_url: str, self_url: str) -> JsonObject:
        """The searchset Bundle of a new search."""
        found = find(self._store, query)
        if query.count == 0:
            return {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
        search = KeptSearch(query=query, keys=tuple(version.key for version in found))
        token = secrets.token_hex(16)
        bundle = self._page(search, token, 0, base_url=base_url, self_url=self_url)
        if any(link["relation"] == "next" for link in bundle["link"]):
            self._keep(token, search)
        return bundle

    def next_page(self, token: str, offset: str, *, base_url: str) -> JsonObject:
        """A later page; FhirError 410 when the search is no longer kept."""
        search = self._kept.get(token)
        if search is None or not offset.isdecimal():
            raise FhirError(410, "This search does not exist and may have expired")
        self_url = _page_url(base_url, token, int(offset))
        return self._page(search, token, int(offset), base_url=base_url, self_url=self_url)

    def _page(self, search: KeptSearch, token: str, offset: int, *, base_url: str, self_url: str) -> JsonObject:
        size = min(search.query.count or self._dialect.page_size, self._dialect.page_size_limit)
        keys = search.keys[offset : offset + size]
        page = [live for key in keys if (live := self._store.live(key)) is not None]
        links = [{"relation": "self", "url": self_url}]
        if offset + size < len(search.keys):
            links.append({"relation": "next", "url": _page_url(base_url, token, offset + size)})
        if offset:
            links.append({"relation": "previous", "url": _page_url(base_url, token, max(0, offset - size))})
        entries = [_entry(one, "match", base_url) for one in page]
        entries += [_entry(one, "include", base_url) for one in included(self._store, search.query, page)]
        bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(search.keys), "link": links}
        return bundle | ({"entry": entries} if entries else {})

    def _keep(self, token: str, search: KeptSearch) -> None:
        self._kept[token] = search
        while len(self._kept) > KEPT_SEARCHES:
            self._kept.popitem(last=False)


def search_url(base_url: str, type_: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The URL that repeats the search."""
    query = urlencode(pairs, quote_via=quote)
    return f"{base_url}/{type_}" + (f"?{query}" if query else "")


def history_bundle(versions: Sequence[Version], *, base_url: str) -> JsonObject:
    """The history Bundle of the versions, in their order."""
    key = versions[0].key
    links = [{"relation": "self", "url": f"{base_url}/{key}/_history"}]
    entries = [_history_entry(version, base_url) for version in versions]
    return {"resourceType": "Bundle", "type": "history", "total": len(versions), "link": links, "entry": entries}


def _entry(version: Version, mode: str, base_url: str) -> JsonObject:
    return {"fullUrl": f"{base_url}/{version.key}", "resource": version.content(), "search": {"mode": mode}}


def _history_entry(version: Version, base_url: str) -> JsonObject:
    entry: JsonObject = {"fullUrl": f"{base_url}/{version.key}"}
    if version.resource is not None:
        entry["resource"] = version.resource
    status = "201 Created" if version.method == "POST" else "200 OK"
    entry["request"] = {"method": version.method, "url": version_path(version)}
    entry["response"] = {"status": status, "etag": f'W/"{version.number}"', "lastModified": version.at}
    return entry


def _page_url(base_url: str, token: str, offset: int) -> str:
    return f"{base_url}?_getpages={token}&_getpagesoffset={offset}&_bundletype=searchset"
