"""Studies whose events wait together, so that they are applied in one run: it ends as one by one."""

import asyncio
from dataclasses import replace

from dicomcast_consumer.mapping import SourceProfile

from tests.fakes.events import create, delete, record
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.member import DICOMWEB, running_member


def test_a_study_of_two_feeds_has_the_endpoints_of_both(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        other = SourceProfile(feed="other", dicomweb_url="https://other.example/dicom-web")
        async with running_member(fhir.base_url, other_feed=other) as member:
            events = [
                create(1, "1.1", "1.1.1"),
                replace(create(1, "1.1", "1.1.2"), feed="other"),
                create(2, "1.1", "1.1.3"),
                create(3, "1.2", "1.2.1"),
            ]
            member.source.produce([record(event, offset=n) for n, event in enumerate(events)])
            await member.committed(4)
            addresses = {f"Endpoint/{one['id']}": one["address"] for one in await member.found("Endpoint")}
            found = {
                study["numberOfInstances"]: [addresses[one["reference"]] for one in study["endpoint"]]
                for study in await member.studies()
            }
            assert found == {3: [DICOMWEB, other.dicomweb_url], 1: [DICOMWEB]}

    asyncio.run(scenario())


def test_a_study_that_runs_empty_is_the_next_patients(fhir: RunningFhirServer) -> None:
    async def scenario() -> None:
        async with running_member(fhir.base_url) as member:
            member.source.produce([record(create(n, "1.1", f"1.1.{n}"), offset=n - 1) for n in (1, 2)])
            await member.committed(2)
            events = [delete(n + 2, "1.1", f"1.1.{n}") for n in (1, 2)]
            events += [create(n + 4, "1.1", f"1.1.{n}", patient_id="P2", accession="A2") for n in (1, 2)]
            member.source.produce([record(event, offset=n + 2) for n, event in enumerate(events)])
            await member.committed(6)
            (study,) = await member.studies()
            patients = {f"Patient/{one['id']}": one["identifier"][0]["value"] for one in await member.found("Patient")}
            assert patients[study["subject"]["reference"]] == "P2"
            assert [one["value"] for one in study["identifier"][1:]] == ["A2"]
            assert (study["numberOfInstances"], member.source.letters) == (2, [])

    asyncio.run(scenario())
