"""WADO-RS: the metadata of one instance (PS3.18 10.4.1.1.2), for events that came without theirs."""

import httpx
import orjson

__all__ = ["DicomWebError", "InstanceGoneError", "read_metadata"]


class DicomWebError(Exception):
    """The server did not give the metadata; `status` is its answer, None without one. Try again later."""

    def __init__(self, text: str, *, status: int | None = None, retry_after: str | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after = retry_after


class InstanceGoneError(DicomWebError):
    """404 or 410: the instance does not exist (any more)."""


async def read_metadata(
    client: httpx.AsyncClient, *, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
) -> str:
    """The instance's data set in the DICOM JSON model, as text. `client`'s base URL is the DICOMweb root.

    Raises InstanceGoneError, or DicomWebError for everything else that is not a data set.
    """
    path = f"studies/{study_instance_uid}/series/{series_instance_uid}/instances/{sop_instance_uid}/metadata"
    try:
        response = await client.get(path, headers={"Accept": "application/dicom+json"})
    except httpx.TransportError as error:
        raise DicomWebError(f"WADO-RS metadata: {type(error).__name__}") from error
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
