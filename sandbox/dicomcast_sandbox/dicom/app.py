"""The routes of the sandbox's DICOM server: one Starlette application over one Store."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route

from dicomcast_sandbox.dicom.access import TOKEN_PATH, Access, AccessMiddleware, ClientCredentials, Open
from dicomcast_sandbox.dicom.faults import FaultMiddleware, Faults, Journal, JournalMiddleware
from dicomcast_sandbox.dicom.feed import (
    BadParameterError,
    PoisonedPageError,
    include_metadata_of,
    parse_page,
    read_latest,
    read_page,
)
from dicomcast_sandbox.dicom.page import status_page
from dicomcast_sandbox.dicom.qido import search_instances, search_studies
from dicomcast_sandbox.dicom.store import Store
from dicomcast_sandbox.dicom.stow import BrokenMultipartError, NotMultipartError, dicom_parts, store_parts
from dicomcast_sandbox.dicom.update import BadUpdateError, bulk_update

DICOM_JSON = "application/dicom+json"
VERSIONS = {"v1.0-prerelease": 1, "v1": 1, "v2": 2}


def dicom_app(
    store: Store | None = None,
    *,
    journal: Journal | None = None,
    faults: Faults | None = None,
    access: Access | None = None,
) -> Starlette:
    """The server as an ASGI application. All that it holds is in `store`, for tests and demos to look at and bend."""
    access = Open() if access is None else access
    routes: list[Route | Mount] = [Route("/", _front_page)]
    if isinstance(access, ClientCredentials):
        routes.append(Route(TOKEN_PATH, access.token, methods=["POST"]))
    routes += [Mount(f"/{name}", routes=_version_routes(number)) for name, number in VERSIONS.items()]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(JournalMiddleware, journal=Journal() if journal is None else journal),
            Middleware(FaultMiddleware, faults=Faults() if faults is None else faults),
            Middleware(AccessMiddleware, access=access),
        ],
        exception_handlers={
            BadParameterError: _bad_request,
            BadUpdateError: _bad_request,
            PoisonedPageError: _poisoned,
        },
    )
    app.state.store = Store() if store is None else store
    return app


def _version_routes(version: int) -> list[Route]:
    async def page(request: Request) -> Response:
        asked = parse_page(version, request.query_params)
        return Response(read_page(_store(request), version, asked), media_type="application/json")

    async def latest(request: Request) -> Response:
        include_metadata = include_metadata_of(request.query_params)
        entry = read_latest(_store(request), version, include_metadata=include_metadata)
        return Response(status_code=204) if entry is None else Response(entry, media_type="application/json")

    study, series, instance = "/studies/{study}", "/studies/{study}/series/{series}", "/instances/{instance}"
    levels = (study, series, series + instance)
    return [
        Route("/changefeed", page),
        Route("/changefeed/latest", latest),
        Route("/studies/$bulkUpdate", _bulk_update, methods=["POST"]),
        Route("/studies", _search, methods=["GET"]),
        Route("/studies", _store_instances, methods=["POST"]),
        Route(study, _store_instances, methods=["POST"]),
        Route(f"{study}/instances", _search_instances, methods=["GET"]),
        *(Route(level, _delete, methods=["DELETE"]) for level in levels),
        *(Route(f"{level}/metadata", _metadata, methods=["GET"]) for level in levels),
    ]


def _store(request: Request) -> Store:
    store: Store = request.app.state.store
    return store


async def _front_page(request: Request) -> Response:
    return HTMLResponse(status_page(_store(request)))


async def _store_instances(request: Request) -> Response:
    try:
        parts = dicom_parts(request.headers.get("content-type", ""), await request.body())
    except NotMultipartError:
        return PlainTextResponse('The content type must be multipart/related; type="application/dicom".', 415)
    except BrokenMultipartError:
        return PlainTextResponse("There was an error reading the multipart request.", 400)
    base_url = f"{request.url.scheme}://{request.url.netloc}/{request.url.path.split('/')[1]}"
    status, response = store_parts(_store(request), parts, study=request.path_params.get("study"), base_url=base_url)
    return Response(status_code=204) if status == 204 else _dicom_json(response, status)


async def _delete(request: Request) -> Response:
    deleted = _store(request).delete(*_level(request))
    return Response(status_code=204 if deleted else 404)


async def _metadata(request: Request) -> Response:
    store = _store(request)
    instances = store.instances(*_level(request))
    readable = [one.data_set for one in instances if one.sop_instance_uid not in store.unreadable]
    if len(readable) < max(1, len(instances)):
        return PlainTextResponse("The specified instance cannot be found.", 404)
    return _dicom_json(readable)


async def _search(request: Request) -> Response:
    found = search_studies(_store(request), request.query_params)
    return _dicom_json(found) if found else Response(status_code=204)


async def _search_instances(request: Request) -> Response:
    found = search_instances(_store(request), request.path_params["study"], request.query_params)
    return _dicom_json(found) if found else Response(status_code=204)


async def _bulk_update(request: Request) -> Response:
    return JSONResponse({"instanceUpdated": bulk_update(_store(request), await request.body())}, 202)


async def _bad_request(request: Request, error: Exception) -> Response:
    return PlainTextResponse(str(error), 400)


async def _poisoned(request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, PoisonedPageError) else 500
    return PlainTextResponse(str(error), status)


def _level(request: Request) -> tuple[str, str | None, str | None]:
    path = request.path_params
    return path["study"], path.get("series"), path.get("instance")


def _dicom_json(content: object, status: int = 200) -> Response:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(text, status, media_type=DICOM_JSON)
