"""The entries of a transaction or batch Bundle as they are asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.outcome import FhirError

METHODS = ("DELETE", "POST", "PUT", "GET")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry, at `position` of the Bundle; `url` is relative to the base."""

    position: int
    method: str
    url: str
    full_url: str | None
    resource: JsonObject | None
    if_match: str | None
    if_none_exist: str | None

    @property
    def type(self) -> str:
        """Resource type."""
        return self.url.partition("?")[0].partition("/")[0]

    @property
    def id(self) -> str | None:
        """Logical id; None for a create, a search or a conditional write."""
        return self.url.partition("?")[0].partition("/")[2] or None

    @property
    def query(self) -> str:
        """What follows the question mark."""
        return self.url.partition("?")[2]

    def pairs(self) -> list[tuple[str, str]]:
        """The query's parameters."""
        return parse_qsl(self.query, keep_blank_values=True)

    def content(self) -> JsonObject:
        """The resource; FhirError 400 when there is none."""
        if self.resource is None:
            raise FhirError(400, f"Missing required resource in Bundle.entry[{self.position}].resource")
        return self.resource


def parse_entries(bundle: JsonObject) -> list[Entry]:
    """FhirError 400 for an entry without a request, or with a method that the server does not run."""
    return [_parse(position, raw) for position, raw in enumerate(bundle.get("entry", []))]


def check_unique(entries: list[Entry]) -> None:
    """FhirError 400 when two entries have one fullUrl, or two updates one id (R4 http.html#trules)."""
    urls = [entry.full_url for entry in entries if entry.full_url is not None]
    updated = [entry.url for entry in entries if entry.method == "PUT" and entry.id is not None]
    for names in (urls, updated):
        if any(count > 1 for count in Counter(names).values()):
            raise FhirError(400, "Transaction bundle contains multiple resources with one ID")


def _parse(position: int, raw: Any) -> Entry:
    request = raw.get("request") if isinstance(raw, dict) else None
    if not isinstance(request, dict) or request.get("method") not in METHODS:
        raise FhirError(400, f"Missing or invalid HTTP Verb in Bundle.entry[{position}].request.method")
    url = str(request.get("url", "")).lstrip("/")
    if request["method"] in ("PUT", "DELETE") and not {"/", "?"} & set(url):
        raise FhirError(400, f"Bundle.entry[{position}].request.url has neither an ID nor search parameters")
    resource = raw.get("resource")
    return Entry(
        position=position,
        method=request["method"],
        url=url,
        full_url=raw.get("fullUrl"),
        resource=resource if isinstance(resource, dict) else None,
        if_match=request.get("ifMatch"),
        if_none_exist=request.get("ifNoneExist"),
    )
