"""Requests to the FHIR server. What its answers mean: fhir_answer."""

import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
from dicomcast_runtime.backoff import retry_after_s
from dicomcast_runtime.http_auth import TokenError
from dicomcast_runtime.http_client import NO_CONNECTION, AnswerTooLargeError, address_of, peer_refusal

from . import exact_json
from .errors import RejectedError, RetryableError, SystemicError, UnreachableError
from .fhir_answer import EntryAnswer, check_status, entry_answers, matches, outcome_codes, total, version_of_tag

__all__ = ["FhirClient", "Resource"]

Resource = dict[str, Any]
"""A FHIR resource as plain JSON; a number with a point or an exponent is a Decimal."""

_JSON: Final = "application/fhir+json"
_HEADERS: Final = {"Accept": _JSON, "Cache-Control": "no-cache"}
"""HAPI answers a search from a cache of a minute unless it is told not to: a verdict must not come from there."""
_MAX_PAGES: Final = 50


class FhirClient:
    """One FHIR R4 server, by an httpx client whose base URL is the server's."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._base = str(client.base_url).rstrip("/")

    async def capability(self) -> Resource:
        """The CapabilityStatement."""
        return await self._resource("GET", "metadata")

    async def search(self, resource_type: str, parameters: Sequence[tuple[str, str]], *, most: int) -> list[Resource]:
        """All resources that the search finds, with what `_include` brings.

        `most`: more than are to be expected. A server that knows `max-results` (HAPI) need not keep the result for a
        next page then; should there be so many, should its page hold fewer than it found, or should it not take that,
        it is asked for page after page.

        By POST, so that no patient's identifier stands in the access logs of proxies and servers; and URLs of many
        identifiers are refused (HAPI answers 414 from 8 kB on).
        """
        parameters = [*parameters, ("_count", str(most))]
        try:
            pages = await self._all_pages(resource_type, parameters, at_once=most)
        except RejectedError as error:
            if error.http_status != 400:
                raise
        else:
            found = _of(pages)
            if len(found) < most and len(found) >= total(pages[0]):
                return found
        return _of(await self._all_pages(resource_type, parameters))

    async def _all_pages(
        self, resource_type: str, parameters: Sequence[tuple[str, str]], *, at_once: int | None = None
    ) -> list[Resource]:
        pages = [await self._first_page(resource_type, parameters, at_once=at_once)]
        while (following := self._next(pages[-1])) is not None:
            pages.append(await self._resource("GET", following))
            if len(pages) > _MAX_PAGES:
                text = f"a search for {resource_type} has over {_MAX_PAGES} pages"
                raise RejectedError("fhir", "fhir.too_many_matches", text)
        return pages

    async def page(
        self, resource_type: str, parameters: Sequence[tuple[str, str]], *, at: str | None = None
    ) -> tuple[list[Resource], str | None]:
        """A page of a search that may find any number, and where the next one is, to be given as `at`."""
        page = await (self._first_page(resource_type, parameters) if at is None else self._resource("GET", at))
        return matches(page), self._next(page)

    async def _first_page(
        self, resource_type: str, parameters: Sequence[tuple[str, str]], *, at_once: int | None = None
    ) -> Resource:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if at_once is not None:
            headers["Cache-Control"] = f"no-cache, no-store, max-results={at_once}"
        content = urllib.parse.urlencode(parameters).encode()
        return await self._resource("POST", f"{resource_type}/_search", content=content, headers=headers)

    async def read(self, resource_type: str, resource_id: str) -> Resource | None:
        """The resource, or None when it does not exist (any more)."""
        return await self._named(resource_type, f"{resource_type}/{resource_id}")

    async def transaction(self, bundle: Resource) -> list[EntryAnswer]:
        """Applies all entries or none; answers in their order. Raises what an entry's own status is, likewise."""
        headers = {"Content-Type": _JSON, "Prefer": "return=minimal"}
        response = await self._send("POST", self._base, content=exact_json.dumps(bundle), headers=headers)
        return entry_answers(self._body(response, named=False), [entry["request"] for entry in bundle["entry"]])

    async def delete(self, resource_type: str, resource_id: str) -> str | None:
        """Deletes; returns the version that the deletion made, where the server tells (HAPI: in Content-Location)."""
        response = await self._send("DELETE", f"{resource_type}/{resource_id}")
        if response.status_code in (404, 410):
            return None
        self._check(response, named=True)
        _, found, version = response.headers.get("Content-Location", "").rpartition("/_history/")
        return version if found else version_of_tag(response.headers.get("ETag"))

    async def version(self, resource_type: str, resource_id: str, version: str) -> Resource | None:
        """One version of a resource, also of a deleted one; None where the server does not have it."""
        return await self._named(resource_type, f"{resource_type}/{resource_id}/_history/{version}")

    async def put(self, resource: Resource) -> None:
        """Writes the resource under its id, whatever is there."""
        path = f"{resource['resourceType']}/{resource['id']}"
        response = await self._send("PUT", path, content=exact_json.dumps(resource), headers={"Content-Type": _JSON})
        self._check(response, named=True)

    async def _resource(self, method: str, path: str, **request: Any) -> Resource:
        return self._body(await self._send(method, path, **request), named=False)

    async def _named(self, resource_type: str, path: str) -> Resource | None:
        response = await self._send("GET", path)
        if response.status_code in (404, 410):
            return None
        body = self._body(response, named=True)
        if body.get("resourceType") != resource_type or not isinstance(body.get("id"), str):
            raise RetryableError(f"FHIR: {response.status_code} with a body that is no {resource_type}")
        return body

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
            if isinstance(error, TokenError):
                raise UnreachableError(str(error), retry_after_s=retry_after_s(error.retry_after)) from error
            text = f"FHIR at {address_of(self._client)}: {type(error).__name__}"
            if isinstance(error, NO_CONNECTION):
                raise UnreachableError(f"{text}: check DICOMCAST_FHIR__URL") from error
            raise RetryableError(text) from error

    def _body(self, response: httpx.Response, *, named: bool) -> Resource:
        self._check(response, named=named)
        try:
            body = exact_json.read(response.content)
        except (ValueError, RecursionError):
            raise RetryableError(f"FHIR: {response.status_code} with a body that is not JSON") from None
        if not isinstance(body, dict):
            raise RetryableError(f"FHIR: {response.status_code} with a body that is not a resource")
        return body

    def _check(self, response: httpx.Response, *, named: bool) -> None:
        if response.is_success:
            return
        try:
            outcome = exact_json.read(response.content)
        except (ValueError, RecursionError):
            outcome = None
        retry_after = response.headers.get("Retry-After")
        method = response.request.method
        check_status(response.status_code, outcome_codes(outcome), method=method, named=named, retry_after=retry_after)

    def _next(self, page: Resource) -> str | None:
        links = page.get("link")
        for link in links if isinstance(links, list) else ():
            if isinstance(link, dict) and link.get("relation") == "next":
                try:
                    url = self._client.base_url.join(str(link.get("url")))
                except httpx.InvalidURL:
                    raise RetryableError("FHIR: the answer to a search has a next page that is nowhere") from None
                # Only path and query count: no request goes to a host that a person did not name.
                return str(self._client.base_url.copy_with(raw_path=url.raw_path))
        return None


def _of(pages: Sequence[Resource]) -> list[Resource]:
    return [resource for page in pages for resource in matches(page)]
