"""WADO-RS: the metadata of one instance (PS3.18 10.4.1.1.2), for events that came without theirs.

That an instance is gone is believed of a server that is there: a proxy without its server, or a wrong URL, answers 404
to everything. So a 404 counts when it is repeated after the DICOMweb root has answered a search (QIDO-RS).
"""

import re
from collections.abc import Mapping
from typing import Final

import httpx
import orjson

from .http_client import NO_CONNECTION, AnswerTooLargeError, address_of, peer_refusal

__all__ = [
    "ANY_SOURCE",
    "DicomWebError",
    "InstanceGoneError",
    "MetadataTooLargeError",
    "answer_to",
    "read_metadata",
    "refusal",
    "require_root",
]

_UID: Final = re.compile(r"[0-9.]{1,64}")
"""All that may stand in a path: no slash, no `..` as a segment, no host."""
_NO_SEARCH: Final = (400, 405, 501)
"""What a DICOMweb server without QIDO-RS answers to a search."""
ANY_SOURCE: Final = "DICOMCAST_SOURCES__<FEED>"
"""The settings of a DICOM server whose feed is not known."""


class DicomWebError(Exception):
    """The server did not give the metadata; `status` is its answer, None without one. Try again later."""

    def __init__(self, text: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


class InstanceGoneError(DicomWebError):
    """404 or 410: the instance does not exist (any more). Also for UIDs that are none: nothing is asked for those."""


class MetadataTooLargeError(DicomWebError):
    """The metadata is larger than max_answer_bytes of the peer."""


async def read_metadata(
    client: httpx.AsyncClient,
    *,
    study_instance_uid: str,
    series_instance_uid: str,
    sop_instance_uid: str,
    settings: str = ANY_SOURCE,
) -> str:
    """The instance's data set in the DICOM JSON model, as text. `client`'s base URL is the DICOMweb root.

    `settings`: the peer's, such as DICOMCAST_SOURCES__MAIN, which an error names.
    Raises InstanceGoneError, or DicomWebError for everything else that is not a data set.
    """
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    if not all(_UID.fullmatch(uid) and uid.strip(".") for uid in uids):
        raise InstanceGoneError("WADO-RS metadata: a UID of the event is none")
    path = f"studies/{study_instance_uid}/series/{series_instance_uid}/instances/{sop_instance_uid}/metadata"
    response = await answer_to(client, path, {}, "WADO-RS metadata", settings)
    if response.status_code == httpx.codes.NOT_FOUND:
        await require_root(client, study_instance_uid, settings=settings)
        # The first answer may have been the last one of a server that was away.
        response = await answer_to(client, path, {}, "WADO-RS metadata", settings)
    status = response.status_code
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise InstanceGoneError(f"WADO-RS metadata of {sop_instance_uid}: {status}", status=status)
    if status != httpx.codes.OK:
        raise refusal(response, "WADO-RS metadata", settings)
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise DicomWebError("WADO-RS metadata is not JSON", status=status) from None
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict):
        return orjson.dumps(body[0]).decode()
    raise DicomWebError("WADO-RS metadata is not an array of one data set", status=status)


async def require_root(client: httpx.AsyncClient, study_instance_uid: str, *, settings: str = ANY_SOURCE) -> None:
    """Returns once the DICOMweb root has answered a search for the study, whatever it found. Raises DicomWebError."""
    query = {"StudyInstanceUID": study_instance_uid, "limit": "1"}
    response = await answer_to(client, "studies", query, "QIDO-RS", settings)
    if not response.is_success and response.status_code not in _NO_SEARCH:
        raise refusal(response, "WADO-RS: 404, and the DICOMweb root's answer to a search", settings)


async def answer_to(
    client: httpx.AsyncClient, path: str, query: Mapping[str, str], what: str, settings: str
) -> httpx.Response:
    """The server's answer, whatever its status. Raises DicomWebError, which begins with `what`, when there is none."""
    try:
        return await client.get(path, params=query, headers={"Accept": "application/dicom+json"})
    except AnswerTooLargeError as error:
        raise MetadataTooLargeError(f"{what}: {error}") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = peer_refusal(error, settings) or type(error).__name__
        way_out = f": check {settings}__DICOMWEB_URL" if isinstance(error, NO_CONNECTION) else ""
        raise DicomWebError(f"{what} at {address_of(client)}: {reason}{way_out}") from error


def refusal(response: httpx.Response, what: str, settings: str) -> DicomWebError:
    """The error that an answer without success is, with the way out where a person must mend a setting."""
    status = response.status_code
    way_out = ""
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        way_out = f": check {settings}__AUTH__* and what it may do there"
    elif status == httpx.codes.NOT_FOUND or response.is_redirect:
        way_out = f": check {settings}__DICOMWEB_URL (redirects are not followed)"
    return DicomWebError(f"{what}: {status}{way_out}", status=status, retry_after=response.headers.get("Retry-After"))
