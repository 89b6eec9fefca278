"""What a client may ask before it writes, on the sandbox and on HAPI."""

from __future__ import annotations

import httpx

USED = {"Patient", "Endpoint", "ImagingStudy", "Observation"}


class TestCapabilityStatement:
    def test_the_version_is_r4(self, fhir: httpx.Client) -> None:
        response = fhir.get("metadata")
        assert response.headers["content-type"].startswith("application/fhir+json")
        assert response.json()["resourceType"] == "CapabilityStatement"
        assert response.json()["fhirVersion"] == "4.0.1"

    def test_it_offers_transactions(self, fhir: httpx.Client) -> None:
        (rest,) = fhir.get("metadata").json()["rest"]
        assert rest["mode"] == "server"
        assert {"code": "transaction"} in rest["interaction"]

    def test_it_offers_what_the_consumer_uses(self, fhir: httpx.Client) -> None:
        (rest,) = fhir.get("metadata").json()["rest"]
        offered = {one["type"]: one for one in rest["resource"]}
        assert offered.keys() >= USED
        for one in (offered[type_] for type_ in USED):
            codes = {interaction["code"] for interaction in one["interaction"]}
            assert codes >= {"read", "vread", "create", "update", "delete", "search-type", "history-instance"}
            assert one["conditionalCreate"] is True
            assert "identifier" in {parameter["name"] for parameter in one["searchParam"]}

    def test_its_head_can_be_asked_for(self, fhir: httpx.Client) -> None:
        response = fhir.head("metadata")
        assert (response.status_code, response.content) == (200, b"")
