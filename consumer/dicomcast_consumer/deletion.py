"""Deleting a study that has lost its last instance.

DELETE is not conditional on every server (tried: HAPI deletes version 2 on If-Match 1). So it goes in two steps: the
plan's transaction has written the study without series, conditional on its version; then it is deleted, and the version
that the deletion made must follow the one that was deleted. If not, someone wrote in between: their version is put
back.
"""

import structlog

from .bundle import version_of
from .errors import ConflictError
from .fhir_client import FhirClient

__all__ = ["delete_study"]

log = structlog.get_logger("dicomcast.apply")


async def delete_study(fhir: FhirClient, study_id: str) -> None:
    """Deletes the ImagingStudy if it still has no series.

    Raises ConflictError when someone wrote meanwhile (their version stands, or was put back): read it again.
    A study that other resources reference stays, without series.
    """
    emptied = await fhir.read("ImagingStudy", study_id)
    if emptied is None:
        return
    if emptied.get("series"):
        raise ConflictError("the study has instances again")
    try:
        made = await fhir.delete("ImagingStudy", study_id)
    except ConflictError:
        log.warning("study.kept", imaging_study=study_id)
        return
    before = version_of(emptied)
    if made is not None and made.isdigit() and before.isdigit() and int(made) > int(before) + 1:
        await _put_back(fhir, study_id, str(int(made) - 1))


async def _put_back(fhir: FhirClient, study_id: str, version: str) -> None:
    theirs = await fhir.version("ImagingStudy", study_id, version)
    if theirs is None:
        log.error("study.write_lost", imaging_study=study_id)
    else:
        await fhir.put(theirs)
        log.warning("study.put_back", imaging_study=study_id)
    raise ConflictError("the study was written to while it was deleted")
