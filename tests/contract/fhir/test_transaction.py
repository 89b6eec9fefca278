"""Transaction and batch Bundles, on the sandbox and on HAPI."""

from __future__ import annotations

import httpx
import pytest

from tests.contract.fhir.resources import (
    Json,
    assert_refused,
    condition,
    created,
    endpoint,
    entry,
    fresh,
    path,
    patient,
    statuses,
    study,
    transaction,
    urn,
)


def responses(response: httpx.Response) -> list[Json]:
    assert response.status_code == 200, response.text
    return [one["response"] for one in response.json()["entry"]]


def key(answer: Json) -> str:
    """`Patient/1` of a response's location."""
    location: str = answer["location"]
    return location.partition("/_history")[0]


def found(fhir: httpx.Client, resource: Json) -> int:
    """How many resources carry the identifier."""
    total: int = fhir.get(f"{resource['resourceType']}?{condition(resource)}").json()["total"]
    return total


class TestStudy:
    """Patient, Endpoint and ImagingStudy in one transaction, as the consumer writes them."""

    def bundle(self, person: Json, target: Json, scan: Json) -> list[Json]:
        names = urn(), urn()
        linked = scan | {"subject": {"reference": names[0]}, "endpoint": [{"reference": names[1]}]}
        return [
            entry("POST", "Patient", person, names[0], ifNoneExist=condition(person)),
            entry("POST", "Endpoint", target, names[1], ifNoneExist=condition(target)),
            entry("POST", "ImagingStudy", linked, urn(), ifNoneExist=condition(scan)),
        ]

    def test_it_is_created_once_and_linked(self, fhir: httpx.Client) -> None:
        person, target, scan = patient(), endpoint(), study("x")
        first = responses(transaction(fhir, *self.bundle(person, target, scan)))
        assert [one["status"] for one in first] == ["201 Created"] * 3
        stored = fhir.get(key(first[2])).json()
        assert stored["subject"] == {"reference": key(first[0])}
        assert stored["endpoint"] == [{"reference": key(first[1])}]
        again = responses(transaction(fhir, *self.bundle(person, target, scan)))
        assert [one["status"] for one in again] == ["200 OK"] * 3
        assert [one["location"] for one in again] == [one["location"] for one in first]
        assert fhir.get(key(first[2])).json() == stored

    def test_the_order_of_entries_plays_no_part(self, fhir: httpx.Client) -> None:
        person, target, scan = patient(), endpoint(), study("x")
        answers = responses(transaction(fhir, *reversed(self.bundle(person, target, scan))))
        assert [one["location"].partition("/")[0] for one in answers] == ["ImagingStudy", "Endpoint", "Patient"]
        assert fhir.get(key(answers[0])).json()["subject"] == {"reference": key(answers[2])}

    def test_several_patients_refuse_the_whole(self, fhir: httpx.Client) -> None:
        person, target, scan = patient(), endpoint(), study("x")
        for _ in range(2):
            created(fhir, person)
        assert_refused(transaction(fhir, *self.bundle(person, target, scan)), 412)
        assert (found(fhir, target), found(fhir, scan)) == (0, 0)


class TestAnswers:
    def test_location_and_etag_name_the_version(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        changed = entry("PUT", path(first), first | {"gender": "male"}, ifMatch='W/"1"')
        (answer,) = responses(transaction(fhir, changed))
        assert answer["location"] == f"{path(first)}/_history/2"

    def test_hapi_writes_the_etag_of_an_entry_without_quotes(self, fhir: httpx.Client) -> None:
        (answer,) = responses(transaction(fhir, entry("POST", "Patient", patient())))
        assert answer["etag"] == "1"

    def test_the_same_content_keeps_the_version(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        (answer,) = responses(transaction(fhir, entry("PUT", path(first), first, ifMatch='W/"1"')))
        assert (answer["status"], answer["location"]) == ("200 OK", f"{path(first)}/_history/1")

    def test_resources_come_back_only_where_they_are_asked_for(self, fhir: httpx.Client) -> None:
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry("POST", "Patient", patient())]}
        plain = fhir.post("", json=bundle).json()["entry"][0]
        full = fhir.post("", json=bundle, headers={"prefer": "return=representation"}).json()["entry"][0]
        assert "resource" not in plain
        assert full["resource"]["resourceType"] == "Patient"

    def test_an_empty_transaction_is_answered(self, fhir: httpx.Client) -> None:
        assert statuses(transaction(fhir)) == []

    def test_hapi_answers_two_equal_conditional_creates_with_one_entry(self, fhir: httpx.Client) -> None:
        """The positions of later entries shift: a client that relies on them must not send two."""
        person, names = patient(), (urn(), urn())
        entries = [entry("POST", "Patient", person, name, ifNoneExist=condition(person)) for name in names]
        answers = responses(transaction(fhir, *entries, entry("POST", "ImagingStudy", study(names[1]))))
        assert [one["location"].partition("/")[0] for one in answers] == ["Patient", "ImagingStudy"]
        assert found(fhir, person) == 1
        assert fhir.get(key(answers[1])).json()["subject"] == {"reference": key(answers[0])}


class TestRollback:
    @pytest.mark.parametrize(
        ("reference", "status"), [("Patient/nobody", 400), (urn(), 400), ("Endpoint/1", 422)], ids=["id", "urn", "type"]
    )
    def test_a_reference_to_nothing_takes_all_back(self, fhir: httpx.Client, reference: str, status: int) -> None:
        person = patient()
        refused = transaction(fhir, entry("POST", "Patient", person), entry("POST", "ImagingStudy", study(reference)))
        assert_refused(refused, status)
        assert found(fhir, person) == 0

    def test_a_stale_version_takes_all_back(self, fhir: httpx.Client) -> None:
        first, other, person = created(fhir, patient()), created(fhir, patient()), patient()
        fhir.put(path(first), json=first | {"gender": "male"})
        refused = transaction(
            fhir,
            entry("POST", "Patient", person),
            entry("PUT", path(other), other | {"gender": "male"}, ifMatch='W/"1"'),
            entry("PUT", path(first), first | {"gender": "female"}, ifMatch='W/"1"'),
        )
        assert_refused(refused, 409)
        assert found(fhir, person) == 0
        assert fhir.get(path(other)).json() == other

    def test_a_delete_that_leaves_a_reference_takes_all_back(self, fhir: httpx.Client) -> None:
        subject, person = created(fhir, patient()), patient()
        created(fhir, study(path(subject)))
        refused = transaction(fhir, entry("POST", "Patient", person), entry("DELETE", path(subject)))
        assert_refused(refused, 409)
        assert found(fhir, person) == 0
        assert fhir.get(path(subject)).json() == subject


class TestDelete:
    def test_a_patient_goes_with_the_study_that_refers_to_it(self, fhir: httpx.Client) -> None:
        subject = created(fhir, patient())
        scan = created(fhir, study(path(subject)))
        answers = responses(transaction(fhir, entry("DELETE", path(subject)), entry("DELETE", path(scan))))
        assert [one["status"] for one in answers] == ["204 No Content"] * 2
        assert [one["location"] for one in answers] == [f"{path(one)}/_history/2" for one in (subject, scan)]

    def test_a_patient_goes_when_its_study_moves_to_another(self, fhir: httpx.Client) -> None:
        subject, other = created(fhir, patient()), created(fhir, patient())
        scan = created(fhir, study(path(subject)))
        moved = scan | {"subject": {"reference": path(other)}}
        assert statuses(transaction(fhir, entry("DELETE", path(subject)), entry("PUT", path(scan), moved))) == [
            204,
            200,
        ]

    def test_what_is_gone_or_never_was_is_no_error(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.delete(path(first))
        answers = responses(transaction(fhir, entry("DELETE", path(first)), entry("DELETE", "Patient/nobody")))
        assert answers[0]["location"] == f"{path(first)}/_history/2"
        assert "location" not in answers[1]

    def test_if_match_plays_no_part(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.put(path(first), json=first | {"gender": "male"})
        (answer,) = responses(transaction(fhir, entry("DELETE", path(first), ifMatch='W/"1"')))
        assert answer["location"] == f"{path(first)}/_history/3"

    def test_an_update_of_what_the_same_bundle_deletes_is_a_conflict(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        update = entry("PUT", path(first), first | {"gender": "male"}, ifMatch='W/"1"')
        assert_refused(transaction(fhir, update, entry("DELETE", path(first))), 409)


class TestUpdate:
    def test_conditional(self, fhir: httpx.Client) -> None:
        person, name = patient(), urn()
        url = f"Patient?{condition(person)}"
        first = transaction(fhir, entry("PUT", url, person, name), entry("POST", "ImagingStudy", study(name)))
        assert statuses(first) == [201, 201]
        answers = responses(first)
        assert fhir.get(key(answers[1])).json()["subject"] == {"reference": key(answers[0])}
        (again,) = responses(transaction(fhir, entry("PUT", url, person | {"gender": "male"})))
        assert again["location"] == f"{key(answers[0])}/_history/2"

    def test_the_id_of_the_url_counts(self, fhir: httpx.Client) -> None:
        name = f"c-{fresh()}"
        assert statuses(transaction(fhir, entry("PUT", f"Patient/{name}", patient()))) == [201]
        assert fhir.get(f"Patient/{name}").status_code == 200

    def test_a_deleted_resource_is_a_conflict_with_its_version_and_revived_without(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        fhir.delete(path(first))
        assert_refused(transaction(fhir, entry("PUT", path(first), first, ifMatch='W/"1"')), 409)
        (answer,) = responses(transaction(fhir, entry("PUT", path(first), first)))
        assert (answer["status"], answer["location"]) == ("201 Created", f"{path(first)}/_history/3")


class TestReads:
    def test_they_see_the_writes_of_the_bundle(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        url = f"Patient?{condition(first)}"
        bundle = transaction(
            fhir,
            entry("GET", path(first)),
            entry("GET", url),
            entry("PUT", path(first), first | {"gender": "male"}),
        ).json()
        assert bundle["entry"][0]["resource"]["gender"] == "male"
        searchset = bundle["entry"][1]["resource"]
        assert (searchset["type"], searchset["entry"][0]["resource"]["gender"]) == ("searchset", "male")

    def test_what_is_missing_does_not_refuse_the_rest(self, fhir: httpx.Client) -> None:
        gone, person = created(fhir, patient()), patient()
        fhir.delete(path(gone))
        response = transaction(
            fhir, entry("GET", "Patient/nobody"), entry("GET", path(gone)), entry("POST", "Patient", person)
        )
        assert statuses(response) == [404, 410, 201]
        assert found(fhir, person) == 1


class TestRefusals:
    @pytest.mark.parametrize(
        "broken",
        [
            entry("POST", "Patient"),
            entry("NONSENSE", "Patient", patient()),
            {"resource": patient()},
            entry("PUT", "Patient", patient()),
        ],
        ids=["no resource", "no such method", "no request", "an update without id"],
    )
    def test_a_broken_entry(self, fhir: httpx.Client, broken: Json) -> None:
        person = patient()
        assert_refused(transaction(fhir, entry("POST", "Patient", person), broken), 400)
        assert found(fhir, person) == 0

    def test_one_full_url_twice(self, fhir: httpx.Client) -> None:
        name = urn()
        assert_refused(transaction(fhir, *(entry("POST", "Patient", patient(), name) for _ in range(2))), 400)

    def test_two_updates_of_one_resource(self, fhir: httpx.Client) -> None:
        first = created(fhir, patient())
        twice = [entry("PUT", path(first), first | {"gender": gender}) for gender in ("male", "female")]
        assert_refused(transaction(fhir, *twice), 400)

    def test_another_type_of_bundle(self, fhir: httpx.Client) -> None:
        assert_refused(transaction(fhir, kind="collection"), 400)

    def test_another_resource(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.post("", json=patient()), 400)


class TestBatch:
    def test_each_entry_stands_alone(self, fhir: httpx.Client) -> None:
        first, person = created(fhir, patient()), patient()
        response = transaction(
            fhir,
            entry("POST", "Patient", person),
            entry("POST", "ImagingStudy", study("Patient/nobody")),
            entry("PUT", path(first), first | {"gender": "male"}, ifMatch='W/"9"'),
            entry("GET", path(first)),
            entry("DELETE", "Patient/nobody"),
            kind="batch",
        )
        assert statuses(response) == [201, 400, 409, 200, 204]
        assert response.json()["type"] == "batch-response"
        assert response.json()["entry"][1]["response"]["outcome"]["resourceType"] == "OperationOutcome"
        assert found(fhir, person) == 1
