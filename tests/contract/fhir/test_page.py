"""The sandbox's page for people: what it shows, and what it keeps to itself."""

from __future__ import annotations

import httpx

from tests.contract.fhir.resources import created, endpoint, path, patient, study
from tests.fakes.fhir_server import RunningFhirServer

DCM = "http://dicom.nema.org/resources/ontology/DCM"


def page(sandbox: RunningFhirServer, query: str = "") -> str:
    response = httpx.get(sandbox.base_url.removesuffix("fhir") + query)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    return response.text


class TestPage:
    def test_an_empty_server_says_so(self, sandbox: RunningFhirServer) -> None:
        assert page(sandbox).count("None yet.") == 2

    def test_it_counts_and_lists_studies_with_links(
        self, sandbox: RunningFhirServer, sandbox_client: httpx.Client
    ) -> None:
        subject = created(sandbox_client, patient())
        created(sandbox_client, endpoint())
        series = [
            {"uid": "1.2", "modality": {"system": DCM, "code": "CT"}, "instance": [{"uid": "1.3"}, {"uid": "1.4"}]}
        ]
        scan = study(path(subject), uid="urn:oid:1.2.840", modality=[{"system": DCM, "code": "CT"}], series=series)
        stored = created(sandbox_client, scan)
        text = page(sandbox)
        for shown in ("1.2.840", "CT", f'href="/fhir/{path(stored)}"', "<td class=n>1</td>", '<td class="n">2</td>'):
            assert shown in text
        assert "http://" not in text.replace(sandbox.base_url, "")

    def test_patients_are_shown_on_demand_alone(self, sandbox: RunningFhirServer, sandbox_client: httpx.Client) -> None:
        subject = created(sandbox_client, patient("MRN-4711", name=[{"family": "<Doe>", "given": ["Jane"]}]))
        created(sandbox_client, study(path(subject)))
        hidden, shown = page(sandbox), page(sandbox, "?patients=shown")
        for value in ("MRN-4711", "Doe", "Jane"):
            assert value not in hidden
            assert value in shown
        assert "<Doe>" not in shown
        assert path(subject) in hidden

    def test_a_browser_gets_json_that_it_can_show(self, sandbox_client: httpx.Client) -> None:
        stored = created(sandbox_client, patient())
        response = sandbox_client.get(path(stored), headers={"accept": "text/html,application/xhtml+xml"})
        assert response.headers["content-type"].startswith("application/json")
        assert "\n  " in response.text
        assert response.json() == stored
