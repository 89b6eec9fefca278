"""Deleting a study that has lost its last instance, and dose Observations whose report is gone.

DELETE is not conditional on every server (tried: HAPI deletes version 2 on If-Match 1). So it goes in two steps: the
plan's transaction has written the study without series, conditional on its version; then it is deleted, and the version
that the deletion made must follow the one that was deleted. If not, someone wrote in between: their version is put
back.

What other resources reference cannot be deleted (R4 http.html#delete leaves that to the server; HAPI answers 409). It
stays, with a warning.
"""

from collections.abc import Sequence

import structlog

from .bundle import deletion_bundle, version_of
from .errors import ConflictError, RejectedError, SystemicError
from .fhir_client import FhirClient
from .mapping import dose_study_token, doses_to_delete
from .mapping.identity import DICOM_UID_SYSTEM, Resource

__all__ = ["delete_observations", "delete_study"]

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
        made = await _delete(fhir, emptied)
    except ConflictError:
        log.warning("study.kept", imaging_study=study_id)
        return
    before = version_of(emptied)
    if made is not None and made.isdigit() and before.isdigit() and int(made) > int(before) + 1:
        await _put_back(fhir, study_id, str(int(made) - 1))


async def delete_observations(fhir: FhirClient, references: Sequence[str]) -> None:
    """Deletes all of `Observation/id` together, or, where one is referenced, each that is not. In that order."""
    try:
        await fhir.transaction(deletion_bundle(references))
        return
    except ConflictError:
        pass  # one of them is referenced: it is looked for
    for reference in references:
        try:
            await fhir.delete(*reference.split("/"))
        except ConflictError:
            log.warning("observation.kept", observation=reference.removeprefix("Observation/"))


async def _delete(fhir: FhirClient, study: Resource) -> str | None:
    """Deletes the study, with dose Observations of ours that hold it; the version that made, where the server tells."""
    try:
        return await fhir.delete("ImagingStudy", study["id"])
    except ConflictError:
        ours = await _doses(fhir, study)
        if not ours:
            raise
    answers = await fhir.transaction(deletion_bundle([*doses_to_delete(ours), f"ImagingStudy/{study['id']}"]))
    return answers[-1].version


async def _doses(fhir: FhirClient, study: Resource) -> list[Resource]:
    """Those of the study: the option may have been on when they were made, and be off now."""
    identifiers = [one for one in study.get("identifier") or () if one.get("system") == DICOM_UID_SYSTEM]
    tokens = [dose_study_token(str(one.get("value"))) for one in identifiers]
    if not tokens:
        return []
    try:
        return await fhir.search("Observation", [("identifier", ",".join(tokens))], most=500)
    except (ConflictError, RejectedError, SystemicError):  # a server without Observation
        return []


async def _put_back(fhir: FhirClient, study_id: str, version: str) -> None:
    theirs = await fhir.version("ImagingStudy", study_id, version)
    if theirs is None:
        log.error("study.write_lost", imaging_study=study_id)
    else:
        await fhir.put(theirs)
        log.warning("study.put_back", imaging_study=study_id)
    raise ConflictError("the study was written to while it was deleted")
