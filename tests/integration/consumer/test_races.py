"""Members that meet at a new Patient and a new Endpoint on the real HAPI: each exists once, and no dead letter."""

import asyncio
import contextlib
import uuid

import httpx
import pytest
from dicomcast_consumer.worker import Limits

from tests.fakes.events import create, record
from tests.fakes.member import Member, running_member

pytestmark = pytest.mark.slow

MEMBERS = 3
STUDIES = 4
ROUNDS = 3


async def found(fhir: httpx.AsyncClient, resource_type: str, **search: str) -> list[str]:
    page = (await fhir.get(resource_type, params={**search, "_count": "100"})).json()
    return [entry["resource"]["id"] for entry in page.get("entry", [])]


async def one_round(hapi: str) -> None:
    """Members of different partitions, with new studies of one new patient, at a DICOM server that is new to FHIR."""
    unique = uuid.uuid4().hex[:10]
    patient, dicomweb = f"race-{unique}", f"http://127.0.0.1:9/{unique}"
    root = f"1.{uuid.uuid4().int % 10**12}"
    limits = Limits(commit_every_s=0.02, max_runs=1)
    async with contextlib.AsyncExitStack() as stack:
        members: list[Member] = [
            await stack.enter_async_context(running_member(hapi, limits=limits, dicomweb=dicomweb))
            for _ in range(MEMBERS)
        ]
        for which, member in enumerate(members):
            studies = [f"{root}.{which}.{n}" for n in range(STUDIES)]
            events = [create(n + 1, study, f"{study}.1", patient_id=patient) for n, study in enumerate(studies)]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
        for member in members:
            await member.committed(STUDIES)
            assert member.source.letters == []
        fhir = members[0].fhir
        (patient_id,) = await found(fhir, "Patient", identifier=f"|{patient}")
        assert len(await found(fhir, "Endpoint", identifier=f"urn:ietf:rfc:3986|{dicomweb}")) == 1
        assert len(await found(fhir, "ImagingStudy", patient=patient_id)) == MEMBERS * STUDIES


def test_members_that_meet_at_a_new_patient_make_one(hapi: str) -> None:
    async def scenario() -> None:
        for _ in range(ROUNDS):
            await one_round(hapi)

    asyncio.run(scenario())
