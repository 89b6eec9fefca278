"""The demo as a user of the DICOM server: STOW-RS (PS3.18 10.5) and the deletion of an instance."""

from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import httpx
from dicomcast_runtime.errors import DependencyError

from dicomcast_sandbox.demo.files import DicomFile

__all__ = ["DicomPeer"]

_FAILED: Final = "00081198"  # FailedSOPSequence; Orthanc sends it empty
_NO_SUCH_REQUEST: Final = (404, 405, 501)


class DicomPeer:
    """Stores and deletes; every failure is a DependencyError that names the request."""

    def __init__(self, dicomweb: httpx.AsyncClient, server: httpx.AsyncClient) -> None:
        """`dicomweb` has the DICOMweb root as its base URL, `server` the one before /v1 and /v2."""
        self._dicomweb = dicomweb
        self._server = server

    async def store(self, files: Sequence[DicomFile]) -> None:
        """All of the files in one STOW-RS request; returns when the server has stored every one."""
        boundary = uuid4().hex
        parts = [
            b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), f.content) for f in files
        ]
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        answer = await _send(
            self._dicomweb,
            "POST",
            "studies",
            content=b"".join(parts) + b"--%b--\r\n" % boundary.encode(),
            headers={"Content-Type": kind, "Accept": "application/dicom+json"},
        )
        if answer.status_code != httpx.codes.OK or answer.json().get(_FAILED, {}).get("Value"):
            raise DependencyError(f"STOW-RS: the DICOM server answered {answer.status_code}; not all files were stored")

    async def delete(self, file: DicomFile) -> str:
        """Deletes the instance; returns the request that did it, for a person to read."""
        path = f"studies/{file.study}/series/{file.series}/instances/{file.instance}"
        answer = await _send(self._dicomweb, "DELETE", path)
        if answer.is_success:
            return "DELETE {dicomweb}/studies/…/series/…/instances/…"
        if answer.status_code in _NO_SUCH_REQUEST:
            return await self._delete_in_orthanc(file)
        raise DependencyError(f"DELETE of an instance: the DICOM server answered {answer.status_code}")

    async def _delete_in_orthanc(self, file: DicomFile) -> str:
        """Orthanc's DICOMweb cannot delete; its own API can."""
        found = await _send(self._server, "POST", "tools/lookup", content=file.instance.encode())
        ids = [one["ID"] for one in found.json() if one["Type"] == "Instance"] if found.is_success else []
        for instance in ids:
            answer = await _send(self._server, "DELETE", f"instances/{instance}")
            if answer.is_success:
                return "DELETE /instances/{id} of Orthanc's own API"
        raise DependencyError("the DICOM server can delete an instance neither by DICOMweb nor by Orthanc's API")


async def _send(client: httpx.AsyncClient, method: str, path: str, **request: object) -> httpx.Response:
    try:
        return await client.request(method, path, **request)  # type: ignore[arg-type]  # content and headers
    except httpx.TransportError as error:
        raise DependencyError(f"{method} {client.base_url}{path}: {type(error).__name__}") from None
