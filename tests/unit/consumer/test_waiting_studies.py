"""Studies whose events wait together, so that they are applied in one run: it ends as one by one."""

import asyncio
from dataclasses import replace

from dicomcast_consumer.mapping import SourceProfile

from tests.fakes.events import create, record
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
