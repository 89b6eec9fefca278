"""Whether a DICOM server that does not give one instance's metadata gives that of others: then it is not away."""

import itertools
from collections.abc import AsyncIterator
from typing import Final

import httpx
from dicomcast_runtime.dicomweb_client import DicomWebError, read_metadata
from dicomcast_schemas import DicomChangeEvent

from .qido import Place, study_instances, study_uids

__all__ = ["gives_another"]

_STUDIES: Final = 4
_OF_EACH: Final = 2


async def gives_another(client: httpx.AsyncClient, event: DicomChangeEvent) -> bool:
    """Asks for the metadata of a few other instances, of the event's study and of others, until one is given.

    `client`'s base URL is the DICOMweb root. False also when none can be found.
    """
    try:
        async for study, (series, sop) in _others(client, event):
            try:
                await read_metadata(client, study_instance_uid=study, series_instance_uid=series, sop_instance_uid=sop)
            except DicomWebError:
                continue
            return True
    except DicomWebError:
        pass
    return False


async def _others(client: httpx.AsyncClient, event: DicomChangeEvent) -> AsyncIterator[tuple[str, Place]]:
    own = event.study_instance_uid
    studies = [own]
    async for uid in study_uids(client, {}):
        if uid != own:
            studies.append(uid)
        if len(studies) == _STUDIES:
            break
    for study in studies:
        places = sorted(await study_instances(client, study))
        for place in itertools.islice((p for p in places if p[1] != event.sop_instance_uid), _OF_EACH):
            yield study, place
