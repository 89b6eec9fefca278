"""HTTP answers: content, ETag, Last-Modified, Location, Prefer."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dicomcast_sandbox.fhir.json_text import JsonObject, dump
from dicomcast_sandbox.fhir.outcome import FhirError, error_outcome, success_outcome
from dicomcast_sandbox.fhir.reads import version_path
from dicomcast_sandbox.fhir.store import Version
from dicomcast_sandbox.fhir.writes import Written

FHIR_JSON = "application/fhir+json"
BASE_PATH = "/fhir"


def base_url(request: Request) -> str:
    """The FHIR base as the client addressed it, without a slash at the end."""
    return f"{str(request.base_url).rstrip('/')}{BASE_PATH}"


def prefers(request: Request, what: str) -> bool:
    """Whether the client sent `Prefer: return=<what>` (R4 http.html#return)."""
    wishes = request.headers.get("prefer", "").replace(",", ";").split(";")
    return f"return={what}" in (wish.strip() for wish in wishes)


def content(
    request: Request, body: JsonObject, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A resource or Bundle. For a browser indented, and with a type that it shows instead of saving it."""
    browser = "text/html" in request.headers.get("accept", "")
    pretty = browser or request.query_params.get("_pretty") == "true"
    media_type = "application/json" if browser else FHIR_JSON
    text = dump(body, pretty=pretty)
    return Response(text, status, headers={"content-type": f"{media_type};charset=utf-8"} | (headers or {}))


def resource(request: Request, version: Version) -> Response:
    """A read's answer; 304 when the client has this version (If-None-Match)."""
    headers = version_headers(request, version)
    if request.headers.get("if-none-match") == headers["etag"]:
        return Response(status_code=304, headers={"etag": headers["etag"]})
    return content(request, version.content(), headers=headers)


def written(request: Request, done: Written, *, created_by_post: bool = False) -> Response:
    """The answer to a create or update, with the content that Prefer asks for (none said: the resource)."""
    version = done.version
    if version is None:
        raise LookupError("a create or update has a version")
    headers = version_headers(request, version)
    if created_by_post:
        headers["location"] = headers["content-location"]
    if prefers(request, "minimal"):
        return Response(status_code=done.status, headers=headers)
    if prefers(request, "OperationOutcome"):
        return content(request, _outcome(done), status=done.status, headers=headers)
    return content(request, version.content(), status=done.status, headers=headers)


def deleted(request: Request, done: Written) -> Response:
    """The answer to a delete; the resulting version is in Content-Location alone (as HAPI)."""
    headers = {}
    if done.version is not None:
        headers["content-location"] = f"{base_url(request)}/{version_path(done.version)}"
    return content(request, _outcome(done), headers=headers)


def version_headers(request: Request, version: Version) -> dict[str, str]:
    """ETag, Last-Modified and Content-Location."""
    at = datetime.fromisoformat(version.at)
    return {
        "etag": f'W/"{version.number}"',
        "last-modified": format_datetime(at, usegmt=True),
        "content-location": f"{base_url(request)}/{version_path(version)}",
    }


async def refused(request: Request, error: Exception) -> Response:
    """The OperationOutcome of a FhirError, or of an HTTP error that Starlette found (405, 404)."""
    if isinstance(error, FhirError):
        headers = {name: f"{base_url(request)}/{value}" for name, value in error.headers.items()}
        return content(request, error_outcome(error.diagnostics), status=error.status, headers=headers)
    status = error.status_code if isinstance(error, HTTPException) else 500
    return content(request, error_outcome(f"The server does not offer this ({status})"), status=status)


def _outcome(done: Written) -> JsonObject:
    return success_outcome(done.code, "Successfully done.")
