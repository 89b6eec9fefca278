"""Conditional create, update and delete, on the sandbox and on HAPI."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.fhir.resources import (
    Json,
    assert_refused,
    condition,
    created,
    entry,
    fresh,
    path,
    patient,
    study,
    transaction,
)


def create_unless_there(fhir: httpx.Client, resource: Json, match_url: str | None = None) -> httpx.Response:
    headers = {"if-none-exist": match_url or condition(resource)}
    return fhir.post(resource["resourceType"], json=resource, headers=headers)


class TestCreate:
    def test_none_one_several(self, fhir: httpx.Client) -> None:
        resource = patient()
        first = create_unless_there(fhir, resource)
        assert first.status_code == 201
        second = create_unless_there(fhir, resource | {"gender": "male"})
        assert second.status_code == 200
        assert second.headers["location"] == first.headers["location"]
        assert second.json() == first.json()
        created(fhir, resource)
        assert_refused(create_unless_there(fhir, resource), 412)

    def test_the_type_and_the_question_mark_may_be_there(self, fhir: httpx.Client) -> None:
        resource = patient()
        created(fhir, resource)
        for before in ("?", "Patient?"):
            assert create_unless_there(fhir, resource, f"{before}{condition(resource)}").status_code == 200

    def test_an_empty_condition_is_none(self, fhir: httpx.Client) -> None:
        resource = patient()
        created(fhir, resource)
        assert fhir.post("Patient", json=resource, headers={"if-none-exist": ""}).status_code == 201

    def test_an_unknown_parameter_is_refused(self, fhir: httpx.Client) -> None:
        assert_refused(create_unless_there(fhir, patient(), "nonsense=1"), 400)

    def test_after_a_delete_it_is_created_anew(self, fhir: httpx.Client) -> None:
        resource = patient()
        first = create_unless_there(fhir, resource).json()
        fhir.delete(path(first))
        second = create_unless_there(fhir, resource)
        assert second.status_code == 201
        assert second.json()["id"] != first["id"]

    @pytest.mark.parametrize("sign", [",", "|", "$", "\\", " ", "+", "&", "%41", "#", "?", "=", "/", "ä"])
    def test_an_encoded_condition_finds_exactly_its_resource(self, fhir: httpx.Client, sign: str) -> None:
        resource = patient(f"{fresh()}{sign}{fresh()}")
        assert create_unless_there(fhir, resource).status_code == 201
        assert create_unless_there(fhir, resource).status_code == 200
        again = transaction(fhir, entry("POST", "Patient", resource, ifNoneExist=condition(resource)))
        assert again.json()["entry"][0]["response"]["status"] == "200 OK"

    @pytest.mark.parametrize("sign", ["+", "%41", " ", "ä", "?"])
    def test_a_condition_that_is_not_encoded_is_refused_in_a_transaction(self, fhir: httpx.Client, sign: str) -> None:
        """HAPI answers 412 when a create is not found by its own condition, 400 when it cannot read the condition."""
        resource = patient(f"a{sign}{fresh()}")
        match_url = f"identifier={resource['identifier'][0]['system']}|{resource['identifier'][0]['value']}"
        response = transaction(fhir, entry("POST", "Patient", resource, ifNoneExist=match_url))
        assert response.status_code in (400, 412)
        assert fhir.get("Patient", params={"identifier": resource["identifier"][0]["value"]}).json()["total"] == 0


class TestUpdate:
    def test_none_one_several(self, fhir: httpx.Client) -> None:
        resource = patient()
        url = f"Patient?{condition(resource)}"
        first = fhir.put(url, json=resource)
        assert first.status_code == 201
        assert fhir.put(url, json=resource).headers["etag"] == 'W/"1"'
        changed = fhir.put(url, json=resource | {"gender": "male"})
        assert (changed.status_code, changed.headers["etag"]) == (200, 'W/"2"')
        assert changed.json()["id"] == first.json()["id"]
        created(fhir, resource)
        assert_refused(fhir.put(url, json=resource), 412)

    def test_hapi_ignores_if_match_on_it(self, fhir: httpx.Client) -> None:
        resource = patient()
        url = f"Patient?{condition(resource)}"
        fhir.put(url, json=resource)
        fhir.put(url, json=resource | {"gender": "male"})
        response = fhir.put(url, json=resource | {"gender": "female"}, headers={"if-match": 'W/"1"'})
        assert response.status_code == 200

    def test_an_update_without_id_and_condition_is_refused(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.put("Patient", json=patient()), 400)

    def test_after_a_delete_it_is_created_with_a_new_id(self, fhir: httpx.Client) -> None:
        resource = patient()
        url = f"Patient?{condition(resource)}"
        first = fhir.put(url, json=resource).json()
        fhir.delete(path(first))
        again = fhir.put(url, json=resource)
        assert again.status_code == 201
        assert again.json()["id"] != first["id"]


class TestDelete:
    def test_every_match_is_deleted(self, fhir: httpx.Client) -> None:
        resource = patient()
        made = [created(fhir, resource) for _ in range(2)]
        assert fhir.delete(f"Patient?{condition(resource)}").status_code == 200
        assert [fhir.get(path(one)).status_code for one in made] == [410, 410]
        assert fhir.delete(f"Patient?{condition(resource)}").status_code == 200

    def test_without_a_condition_it_is_refused(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.delete("Patient"), 400)


class TestReference:
    def test_a_search_may_stand_for_a_reference(self, fhir: httpx.Client) -> None:
        resource = patient()
        url = f"Patient?{condition(resource)}"
        assert_refused(fhir.post("ImagingStudy", json=study(url)), 404)
        subject = created(fhir, resource)
        assert created(fhir, study(url))["subject"] == {"reference": path(subject)}
        created(fhir, resource)
        assert_refused(fhir.post("ImagingStudy", json=study(url)), 412)
