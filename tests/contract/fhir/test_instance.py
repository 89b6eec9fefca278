"""Create, read, update, delete and history of one resource, on the sandbox and on HAPI."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.fhir.resources import assert_refused, created, endpoint, fresh, path, patient, study


class TestCreate:
    def test_the_server_assigns_the_id_and_the_version(self, fhir: httpx.Client) -> None:
        response = fhir.post("Patient", json=patient(id="mine"))
        assert response.status_code == 201
        stored = response.json()
        assert stored["id"] != "mine"
        assert stored["meta"]["versionId"] == "1"
        assert response.headers["etag"] == 'W/"1"'
        assert response.headers["location"] == f"{fhir.base_url}{path(stored)}/_history/1"
        assert response.headers["last-modified"].endswith("GMT")
        assert response.headers["content-type"].startswith("application/fhir+json")

    @pytest.mark.parametrize(
        "body",
        [b"", b"{nope", b"[]", b"{}", b'{"resourceType":"Endpoint"}', b'{"resourceType":"Patient","gender":"xx"}'],
        ids=["empty", "no JSON", "an array", "no type", "another type", "unknown code"],
    )
    def test_what_is_no_patient_is_refused(self, fhir: httpx.Client, body: bytes) -> None:
        response = fhir.post("Patient", content=body, headers={"content-type": "application/fhir+json"})
        assert_refused(response, 400)

    def test_a_date_that_does_not_exist_is_refused(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.post("Patient", json=patient(birthDate="2020-99-99")), 400)

    def test_another_content_type_is_refused(self, fhir: httpx.Client) -> None:
        response = fhir.post("Patient", content=b"{}", headers={"content-type": "text/plain"})
        assert_refused(response, 400)

    def test_what_is_empty_is_left_out(self, fhir: httpx.Client) -> None:
        stored = created(fhir, patient(name=[], birthDate="", maritalStatus={}))
        assert {"name", "birthDate", "maritalStatus"}.isdisjoint(fhir.get(path(stored)).json())

    def test_decimals_keep_their_digits(self, fhir: httpx.Client) -> None:
        body = b'{"resourceType":"Patient","extension":[{"url":"http://e.example","valueDecimal":1.50}]}'
        stored = fhir.post("Patient", content=body, headers={"content-type": "application/fhir+json"}).json()
        assert '"valueDecimal":1.50}' in fhir.get(path(stored)).text

    def test_an_unknown_type_is_not_found(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.post("Nonsense", json={"resourceType": "Nonsense"}), 404)


class TestReferences:
    @pytest.mark.parametrize(
        ("reference", "status"),
        [
            ("Patient/nobody", 400),
            ("urn:uuid:5e2c2d7d-0000-4000-8000-000000000000", 400),
            ("http://fhir.example/Patient/1", 400),
            ("nonsense", 400),
            ("Endpoint/1", 422),
        ],
    )
    def test_a_reference_to_nothing_is_refused(self, fhir: httpx.Client, reference: str, status: int) -> None:
        assert_refused(fhir.post("ImagingStudy", json=study(reference)), status)

    def test_a_reference_to_a_deleted_resource_is_refused(self, fhir: httpx.Client) -> None:
        gone = created(fhir, patient())
        fhir.delete(path(gone))
        assert_refused(fhir.post("ImagingStudy", json=study(path(gone))), 400)

    def test_the_version_of_a_reference_is_dropped(self, fhir: httpx.Client) -> None:
        subject = path(created(fhir, patient()))
        stored = created(fhir, study(f"{subject}/_history/1"))
        assert stored["subject"] == {"reference": subject}

    def test_contained_and_logical_references_are_left_alone(self, fhir: httpx.Client) -> None:
        contained = study("#p") | {"contained": [{"resourceType": "Patient", "id": "p"}]}
        logical = study("x") | {"subject": {"identifier": {"value": "x"}}}
        assert created(fhir, contained)["subject"] == {"reference": "#p"}
        assert created(fhir, logical)["subject"] == {"identifier": {"value": "x"}}


class TestRead:
    def test_read_and_vread(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.put(path(first), json=first | {"gender": "female"})
        assert fhir.get(path(first)).json()["gender"] == "female"
        assert fhir.get(path(first)).headers["etag"] == 'W/"2"'
        old = fhir.get(f"{path(first)}/_history/1")
        assert "gender" not in old.json()
        assert old.headers["etag"] == 'W/"1"'

    def test_an_id_never_used_is_not_found(self, fhir: httpx.Client) -> None:
        for below in ("", "/_history", "/_history/1"):
            assert_refused(fhir.get(f"Patient/nobody{below}"), 404)

    def test_a_version_never_made_is_not_found(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.get(f"{path(created(fhir, patient()))}/_history/9"), 404)

    def test_a_version_that_the_client_has_is_not_sent_again(self, fhir: httpx.Client) -> None:
        name = path(created(fhir, patient()))
        assert fhir.get(name, headers={"if-none-match": 'W/"1"'}).status_code == 304
        assert fhir.get(name, headers={"if-none-match": 'W/"9"'}).status_code == 200


class TestUpdate:
    def test_a_change_raises_the_version(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        response = fhir.put(path(first), json=first | {"gender": "male"}, headers={"if-match": 'W/"1"'})
        assert response.status_code == 200
        assert response.headers["etag"] == 'W/"2"'
        assert response.json()["meta"]["lastUpdated"] > first["meta"]["lastUpdated"]

    def test_the_same_content_does_not(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient(gender="male", extension=[{"url": "http://e.example", "valueDecimal": 1.5}]))
        response = fhir.put(path(first), json=dict(reversed(first.items())))
        assert (response.status_code, response.headers["etag"]) == (200, 'W/"1"')
        assert fhir.get(path(first)).json() == first

    @pytest.mark.parametrize("change", [{}, {"gender": "male"}], ids=["same content", "changed"])
    def test_a_stale_version_is_a_conflict(self, fhir: httpx.Client, change: dict[str, str]) -> None:
        first = created(fhir, patient())
        second = fhir.put(path(first), json=first | {"gender": "female"}).json()
        response = fhir.put(path(first), json=second | change, headers={"if-match": 'W/"1"'})
        assert_refused(response, 409)
        assert fhir.get(path(first)).json() == second

    def test_a_version_of_the_future_is_a_conflict(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        assert_refused(fhir.put(path(first), json=first, headers={"if-match": 'W/"77"'}), 409)

    def test_the_body_must_carry_the_id(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        assert_refused(fhir.put(path(first), json=patient()), 400)
        assert_refused(fhir.put(path(first), json=patient(id="another")), 400)

    def test_a_client_may_choose_an_id_that_is_not_a_number(self, fhir: httpx.Client) -> None:
        name = f"c-{fresh()}"
        assert fhir.put(f"Patient/{name}", json=patient(id=name)).status_code == 201
        assert_refused(fhir.put("Patient/987654321", json=patient(id="987654321")), 400)
        assert_refused(fhir.put("Patient/a_b", json=patient(id="a_b")), 400)


class TestDelete:
    def test_it_is_gone_and_its_versions_stay(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        response = fhir.delete(path(first))
        assert response.status_code == 200
        assert response.headers["content-location"].endswith(f"{path(first)}/_history/2")
        read = fhir.get(path(first))
        assert_refused(read, 410)
        assert read.headers["location"].endswith(f"{path(first)}/_history/2")
        assert fhir.get(f"{path(first)}/_history/1").json() == first

    def test_a_second_time_and_an_id_never_used_are_no_errors(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.delete(path(first))
        again = fhir.delete(path(first))
        assert again.status_code == 200
        assert again.headers["content-location"].endswith("/_history/2")
        assert fhir.delete("Patient/nobody").status_code == 200

    def test_hapi_deletes_whatever_if_match_says(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.put(path(first), json=first | {"gender": "male"})
        response = fhir.delete(path(first), headers={"if-match": 'W/"1"'})
        assert response.status_code == 200
        assert response.headers["content-location"].endswith("/_history/3")

    def test_what_is_referred_to_stays(self, fhir: httpx.Client) -> None:
        subject, target = created(fhir, patient()), created(fhir, endpoint())
        made = created(fhir, study(path(subject), endpoint=[{"reference": path(target)}]))
        assert_refused(fhir.delete(path(subject)), 409)
        assert_refused(fhir.delete(path(target)), 409)
        fhir.delete(path(made))
        assert fhir.delete(path(subject)).status_code == 200

    def test_an_update_brings_it_back(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.delete(path(first))
        assert_refused(fhir.put(path(first), json=first, headers={"if-match": 'W/"1"'}), 409)
        revived = fhir.put(path(first), json=first)
        assert (revived.status_code, revived.headers["etag"]) == (201, 'W/"3"')


class TestHistory:
    def test_versions_come_newest_first(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.put(path(first), json=first | {"gender": "male"})
        fhir.delete(path(first))
        bundle = fhir.get(f"{path(first)}/_history").json()
        assert bundle["type"] == "history"
        assert [one["request"]["method"] for one in bundle["entry"]] == ["DELETE", "PUT", "POST"]
        assert [one["response"]["etag"] for one in bundle["entry"]] == ['W/"3"', 'W/"2"', 'W/"1"']
        assert "resource" not in bundle["entry"][0]
        assert bundle["entry"][1]["resource"]["gender"] == "male"

    def test_hapi_lists_as_many_as_there_were_when_it_was_first_asked(self, fhir: httpx.Client) -> None:
        """Its total is cached: after a deletion no content may be left in the list. Read a former version by vread."""
        first = created(fhir, patient())
        assert len(fhir.get(f"{path(first)}/_history").json()["entry"]) == 1
        second = fhir.put(path(first), json=first | {"gender": "male"}).json()
        fhir.delete(path(first))
        (listed,) = fhir.get(f"{path(first)}/_history").json()["entry"]
        assert listed["request"]["method"] == "DELETE"
        assert fhir.get(f"{path(first)}/_history/2").json() == second

    def test_what_a_deletion_took_can_be_put_back(self, fhir: httpx.Client) -> None:
        """The answer to a DELETE names its version N; N-1 is what was deleted."""
        first = created(fhir, patient())
        fhir.put(path(first), json=first | {"gender": "male"})
        location = fhir.delete(path(first)).headers["content-location"]
        name, _, version = location.rpartition("/")
        taken = fhir.get(f"{name}/{int(version) - 1}").json()
        assert taken["gender"] == "male"
        assert fhir.put(path(first), json=taken).status_code == 201
        assert fhir.get(path(first)).json()["gender"] == "male"


class TestPrefer:
    @pytest.mark.parametrize(
        ("preference", "answered"),
        [("minimal", None), ("representation", "Patient"), ("OperationOutcome", "OperationOutcome")],
    )
    def test_the_answer_holds_what_was_asked_for(
        self, fhir: httpx.Client, preference: str, answered: str | None
    ) -> None:
        headers = {"prefer": f"return={preference}"}
        first = fhir.post("Patient", json=patient(), headers=headers)
        name = first.headers["location"].split("/_history")[0].removeprefix(str(fhir.base_url))
        second = fhir.put(name, json=patient(id=name.split("/")[1], gender="male"), headers=headers)
        for response in (first, second):
            found = response.json()["resourceType"] if response.content else None
            assert found == answered
        assert second.headers["etag"] == 'W/"2"'
