"""WADO-RS: the metadata of one instance (PS3.18 10.4.1.1.2), for events that came without theirs."""

import re
from typing import Final

import httpx
import orjson

from .http_client import AnswerTooLargeError, peer_refusal

__all__ = ["DicomWebError", "InstanceGoneError", "MetadataTooLargeError", "read_metadata"]

_UID: Final = re.compile(r"[0-9.]{1,64}")
"""All that may stand in a path: no slash, no `..` as a segment, no host."""


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
    client: httpx.AsyncClient, *, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
) -> str:
    """The instance's data set in the DICOM JSON model, as text. `client`'s base URL is the DICOMweb root.

    Raises InstanceGoneError, or DicomWebError for everything else that is not a data set.
    """
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    if not all(_UID.fullmatch(uid) and uid.strip(".") for uid in uids):
        raise InstanceGoneError("WADO-RS metadata: a UID of the event is none")
    path = f"studies/{study_instance_uid}/series/{series_instance_uid}/instances/{sop_instance_uid}/metadata"
    try:
        response = await client.get(path, headers={"Accept": "application/dicom+json"})
    except AnswerTooLargeError as error:
        raise MetadataTooLargeError(f"WADO-RS metadata: {error}") from None
    except (httpx.TransportError, httpx.DecodingError) as error:
        reason = peer_refusal(error, "the DICOM server's settings")
        raise DicomWebError(f"WADO-RS metadata: {reason or type(error).__name__}") from error
    status = response.status_code
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise InstanceGoneError(f"WADO-RS metadata of {sop_instance_uid}: {status}", status=status)
    if status != httpx.codes.OK:
        raise DicomWebError(
            f"WADO-RS metadata: {status}", status=status, retry_after=response.headers.get("Retry-After")
        )
    try:
        body = orjson.loads(response.content)
    except orjson.JSONDecodeError:
        raise DicomWebError("WADO-RS metadata is not JSON", status=status) from None
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict):
        return orjson.dumps(body[0]).decode()
    raise DicomWebError("WADO-RS metadata is not an array of one data set", status=status)
