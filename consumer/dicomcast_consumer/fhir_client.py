"""Requests to the FHIR server, and what each answer means.

Every answer becomes a value or one of the errors the loop acts on: RetryableError (the same again later), ConflictError
(someone else wrote: read again), RejectedError (this content will never be accepted), SystemicError (no content would
be). Nothing of a response body goes into an error but the OperationOutcome's codes: its text may hold patient data.
"""

import urllib.parse
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx
import orjson
from dicomcast_runtime.backoff import retry_after_s
from dicomcast_runtime.http_client import AnswerTooLargeError, peer_refusal

from . import exact_json
from .errors import ConflictError, RejectedError, RetryableError, SystemicError, UnreachableError

__all__ = ["EntryAnswer", "FhirClient", "Resource"]

Resource = dict[str, Any]
"""A FHIR resource as plain JSON."""

_JSON: Final = "application/fhir+json"
_HEADERS: Final = {"Accept": _JSON, "Cache-Control": "no-cache"}
"""HAPI answers a search from a cache of a minute unless it is told not to: a verdict must not come from there."""
_TRANSIENT: Final = frozenset({408, 425, 429})
_NO_CONNECTION: Final = (httpx.ConnectError, httpx.ConnectTimeout)
_OF_THE_URL: Final = "check DICOMCAST_FHIR__URL (the base, as in https://fhir.example.org/fhir) and the permissions"
_WAY_OUT: Final = {
    401: "it does not know us: check DICOMCAST_FHIR__AUTH__*",
    403: "it knows us and does not allow it: give the account of DICOMCAST_FHIR__AUTH__* the right to read and write",
}
_MAX_PAGES: Final = 50
_WITH_DECIMALS: Final = frozenset({"Observation"})
"""Types whose decimals are read digit by digit, so that a write gives back what others wrote there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryAnswer:
    """One entry of a transaction's answer."""

    status: int
    location: str | None
    version: str | None


class FhirClient:
    """One FHIR R4 server, by an httpx client whose base URL is the server's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._base = str(client.base_url).rstrip("/")

    async def capability(self) -> Resource:
        """The CapabilityStatement."""
        return await self._resource("GET", "metadata", orjson.loads)

    async def search(self, resource_type: str, parameters: Sequence[tuple[str, str]], *, most: int) -> list[Resource]:
        """All resources that the search finds, with what `_include` brings.

        `most`: more than are to be expected. A server that knows `max-results` (HAPI) need not keep the result for a
        next page then; should there be so many, or should it not take that, it is asked for page after page.

        By POST, so that no patient's identifier stands in the access logs of proxies and servers; and URLs of many
        identifiers are refused (HAPI answers 414 from 8 kB on).
        """
        parameters = [*parameters, ("_count", str(most))]
        try:
            found = await self._all_pages(resource_type, parameters, at_once=most)
        except RejectedError as error:
            if error.http_status != 400:
                raise
        else:
            if len(found) < most:
                return found
        return await self._all_pages(resource_type, parameters)

    async def _all_pages(
        self, resource_type: str, parameters: Sequence[tuple[str, str]], *, at_once: int | None = None
    ) -> list[Resource]:
        found: list[Resource] = []
        pages = 0
        async for page in self._pages(resource_type, parameters, at_once=at_once):
            pages += 1
            if pages > _MAX_PAGES:
                text = f"a search for {resource_type} has over {_MAX_PAGES} pages"
                raise RejectedError("fhir", "fhir.too_many_matches", text)
            found += _matches(page)
        return found

    async def every(self, resource_type: str, parameters: Sequence[tuple[str, str]]) -> AsyncIterator[Resource]:
        """The same for a search that may find any number, page by page."""
        async for page in self._pages(resource_type, parameters):
            for resource in _matches(page):
                yield resource

    async def _pages(
        self, resource_type: str, parameters: Sequence[tuple[str, str]], *, at_once: int | None = None
    ) -> AsyncIterator[Resource]:
        content = urllib.parse.urlencode(parameters).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if at_once is not None:
            headers["Cache-Control"] = f"no-cache, no-store, max-results={at_once}"
        parse = exact_json.loads if resource_type in _WITH_DECIMALS else orjson.loads
        page = await self._resource("POST", f"{resource_type}/_search", parse, content=content, headers=headers)
        yield page
        while (following := self._next(page)) is not None:
            page = await self._resource("GET", following, parse)
            yield page

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """The resource, or None when it does not exist (any more)."""
        response = await self._send("GET", f"{resource_type}/{resource_id}")
        return None if response.status_code in (404, 410) else self._body(response, named=True)

    async def transaction(self, bundle: Resource) -> list[EntryAnswer]:
        """Applies all entries or none; answers in their order."""
        headers = {"Content-Type": _JSON, "Prefer": "return=minimal"}
        response = await self._send("POST", self._base, content=exact_json.dumps(bundle), headers=headers)
        entries = self._body(response, named=False).get("entry", [])
        if len(entries) != len(bundle["entry"]):
            raise RetryableError(f"the transaction's answer has {len(entries)} entries for {len(bundle['entry'])}")
        return [_entry_answer(entry) for entry in entries]

    async def delete(self, resource_type: str, resource_id: str) -> str | None:
        """Deletes; returns the version that the deletion made, where the server tells (HAPI: in Content-Location)."""
        response = await self._send("DELETE", f"{resource_type}/{resource_id}")
        if response.status_code in (404, 410):
            return None
        self._check(response, named=True)
        _, found, version = response.headers.get("Content-Location", "").rpartition("/_history/")
        return version if found else _version(response.headers.get("ETag"))

    async def version(self, resource_type: str, resource_id: str, version: str) -> Resource | None:
        """One version of a resource, also of a deleted one; None where the server does not have it."""
        response = await self._send("GET", f"{resource_type}/{resource_id}/_history/{version}")
        return None if response.status_code in (404, 410) else self._body(response, named=True)

    async def put(self, resource: Resource) -> None:
        """Writes the resource under its id, whatever is there."""
        path = f"{resource['resourceType']}/{resource['id']}"
        response = await self._send("PUT", path, content=exact_json.dumps(resource), headers={"Content-Type": _JSON})
        self._check(response, named=True)

    async def _resource(self, method: str, path: str, parse: Callable[[bytes], Any], **request: Any) -> Resource:
        return self._body(await self._send(method, path, **request), named=False, parse=parse)

    async def _send(
        self, method: str, path: str, *, content: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        try:
            return await self._client.request(method, path, content=content, headers={**_HEADERS, **(headers or {})})
        except AnswerTooLargeError as error:
            raise RetryableError(f"FHIR: {error}: DICOMCAST_FHIR__MAX_ANSWER_BYTES") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = peer_refusal(error, "DICOMCAST_FHIR")
            if reason is not None:
                raise SystemicError(f"FHIR: {reason}") from None
            kind = UnreachableError if isinstance(error, _NO_CONNECTION) else RetryableError
            raise kind(f"FHIR: {type(error).__name__}") from error

    def _body(self, response: httpx.Response, *, named: bool, parse: Callable[[bytes], Any] = orjson.loads) -> Resource:
        self._check(response, named=named)
        try:
            body = parse(response.content)
        except (ValueError, RecursionError):
            raise RetryableError(f"FHIR: {response.status_code} with a body that is not JSON") from None
        if not isinstance(body, dict):
            raise RetryableError(f"FHIR: {response.status_code} with a body that is not a resource")
        return body

    def _check(self, response: httpx.Response, *, named: bool) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        codes = _outcome_codes(response)
        text = f"FHIR answered {status}" + (f" ({', '.join(codes)})" if codes else "")
        if status in _TRANSIENT or status >= 500:
            raise RetryableError(text, retry_after_s=retry_after_s(response.headers.get("Retry-After")))
        if status == 412 and "multiple-matches" in codes:
            raise RejectedError("fhir", "fhir.multiple_matches", text, http_status=status)
        if status in (409, 412) or (status in (404, 410) and (named or codes)):
            raise ConflictError(text)
        if status in (400, 413, 422):
            raise RejectedError("fhir", f"fhir.{status}", text, http_status=status)
        raise SystemicError(f"{text} to {response.request.method}: {_WAY_OUT.get(status, _OF_THE_URL)}")

    def _next(self, page: Resource) -> str | None:
        links = page.get("link")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("relation") == "next":
                url = httpx.URL(str(link.get("url")))
                # Only path and query count: no request goes to a host that a person did not name.
                return str(self._client.base_url.copy_with(raw_path=url.raw_path)) if url.host else str(url)
        return None


def _matches(page: Resource) -> list[Resource]:
    """The resources of a page. Raises RetryableError for one of another shape: the server is not itself."""
    try:
        found = [
            entry["resource"]
            for entry in page.get("entry", [])
            if entry.get("search", {}).get("mode") != "outcome"
            and entry["resource"]["resourceType"] != "OperationOutcome"
        ]
    except (TypeError, KeyError, AttributeError):
        raise RetryableError("FHIR: the answer to a search is no Bundle of resources") from None
    if not all(isinstance(resource.get("id"), str) for resource in found):
        raise RetryableError("FHIR: the answer to a search has a resource without id")
    return found


def _entry_answer(entry: Mapping[str, Any]) -> EntryAnswer:
    response = entry.get("response", {})
    status = str(response.get("status", ""))[:3]
    return EntryAnswer(
        status=int(status) if status.isdigit() else 0,
        location=response.get("location"),
        version=_version(response.get("etag")),
    )


def _version(etag: str | None) -> str | None:
    # In entries of a transaction HAPI writes the bare version.
    return None if etag is None else etag.removeprefix("W/").strip('"')


def _outcome_codes(response: httpx.Response) -> list[str]:
    try:
        issues = orjson.loads(response.content).get("issue", [])
        return sorted({str(issue.get("code")) for issue in issues if issue.get("severity") in ("error", "fatal")})
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        return []
