"""QIDO-RS (PS3.18 10.6): which studies a DICOM server has, and which instances a study.

Pages are asked for by `limit` and `offset`. Servers give fewer results than were asked for, or all of them whatever is
asked: a page without anything new is the end.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import httpx
import orjson
from dicomcast_runtime.dicomweb_client import (
    ANY_SOURCE,
    DicomWebError,
    MetadataTooLargeError,
    answer_to,
    refusal,
    require_root,
)

__all__ = ["Place", "search_status", "study_attributes", "study_instances", "study_uids"]

Place = tuple[str, str]
"""Series Instance UID and SOP Instance UID."""

_PAGE: Final = 200
"""The most that Microsoft's server takes as `limit`."""
_NOWHERE: Final = "2.25.0"
_STUDY: Final = "0020000D"
_SERIES: Final = "0020000E"
_SOP: Final = "00080018"
_DESCRIPTION: Final = "00081030"
"""Not returned unless it is asked for (PS3.18 table 10.6.3-3)."""


async def study_uids(
    client: httpx.AsyncClient, query: Mapping[str, str], settings: str = ANY_SOURCE
) -> AsyncIterator[str]:
    """The Study Instance UIDs that match, each once. `client`'s base URL is the DICOMweb root. Raises DicomWebError.

    `settings`, here and below: the peer's, such as DICOMCAST_SOURCES__MAIN, which an error names.
    """
    seen: set[str] = set()
    offset = 0
    while True:
        found = await _page(client, "studies", {**query, "includefield": _STUDY}, offset, settings)
        fresh = {uid for study in found if (uid := _uid(study, _STUDY)) is not None} - seen
        for uid in sorted(fresh):
            yield uid
        if not fresh:
            return
        seen |= fresh
        offset += len(found)


async def study_instances(
    client: httpx.AsyncClient, study_instance_uid: str, settings: str = ANY_SOURCE
) -> frozenset[Place]:
    """The instances of the study, none when the server does not have it. Raises DicomWebError."""
    places: set[Place] = set()
    path = f"studies/{study_instance_uid}/instances"
    offset = 0
    while True:
        try:
            found = await _page(client, path, {"includefield": _SERIES}, offset, settings)
        except DicomWebError as error:
            if error.status != httpx.codes.NOT_FOUND:
                raise
            await require_root(client, study_instance_uid, settings=settings)
            found = []
        fresh = {place for instance in found if (place := _place(instance)) is not None} - places
        if not fresh:
            return frozenset(places)
        places |= fresh
        offset += len(found)


async def study_attributes(
    client: httpx.AsyncClient, study_instance_uid: str, settings: str = ANY_SOURCE
) -> str | None:
    """What a search says of the study, a data set in the DICOM JSON model as text; None when it does not find it.

    Of studies whose instances differ it is one of several truths. Raises DicomWebError.
    """
    query = {"StudyInstanceUID": study_instance_uid, "includefield": _DESCRIPTION}
    page = await _page(client, "studies", query, 0, settings)
    found = [study for study in page if _uid(study, _STUDY) == study_instance_uid]
    return orjson.dumps(found[0]).decode() if found else None


async def search_status(client: httpx.AsyncClient) -> int:
    """The HTTP status of a search for studies; below 400 the root is one. Raises what httpx raises.

    It asks for a study that nobody has, so that no patient's value is sent; where a server answers 404 to that, as some
    do when nothing matches, for any one.
    """
    status = (await _get(client, "studies", {_STUDY: _NOWHERE, "limit": "1"})).status_code
    if status == httpx.codes.NOT_FOUND:
        status = (await _get(client, "studies", {"limit": "1"})).status_code
    return status


async def _get(client: httpx.AsyncClient, path: str, parameters: Mapping[str, str]) -> httpx.Response:
    return await client.get(path, params=parameters, headers={"Accept": "application/dicom+json"})


async def _page(
    client: httpx.AsyncClient, path: str, query: Mapping[str, str], offset: int, settings: str
) -> list[dict[str, Any]]:
    parameters = {**query, "limit": str(_PAGE), "offset": str(offset)}
    try:
        response = await answer_to(client, path, parameters, "QIDO-RS", settings)
    except MetadataTooLargeError as error:
        raise DicomWebError(f"{error}: check {settings}__MAX_ANSWER_BYTES") from None
    status = response.status_code
    if status == httpx.codes.NO_CONTENT:
        return []
    if status not in (httpx.codes.OK, httpx.codes.PARTIAL_CONTENT):
        raise refusal(response, "QIDO-RS", settings)
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise DicomWebError("QIDO-RS: not JSON", status=status) from None
    if not isinstance(body, list) or not all(isinstance(found, dict) for found in body):
        raise DicomWebError("QIDO-RS: not an array of data sets", status=status)
    return body


def _place(instance: Mapping[str, Any]) -> Place | None:
    series, sop = _uid(instance, _SERIES), _uid(instance, _SOP)
    return (series, sop) if series and sop else None


def _uid(data_set: Mapping[str, Any], tag: str) -> str | None:
    values = (data_set.get(tag) or {}).get("Value") or [None]
    return values[0].strip(" \0") if isinstance(values[0], str) else None
