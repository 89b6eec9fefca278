"""What becomes of meta, element ids and fractions of seconds, on the sandbox and on HAPI."""

from __future__ import annotations

import httpx

from tests.contract.fhir.resources import Json, as_of, created, path, patient, study, transaction

TAG = {"system": "https://dicomcast.example/tag", "code": "ours"}


def marked(fhir: httpx.Client) -> Json:
    return created(fhir, study(path(created(fhir, patient()))))


def with_meta(resource: Json, **elements: object) -> Json:
    return resource | {"meta": resource["meta"] | elements}


class TestMark:
    """The as-of mark is a meta.extension with extensions of its own."""

    def test_it_survives_create_read_search_and_vread(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        found = fhir.get("ImagingStudy", params={"_id": stored["id"]}).json()["entry"][0]["resource"]
        for seen in (stored, found, fhir.get(path(stored)).json(), fhir.get(f"{path(stored)}/_history/1").json()):
            assert seen["meta"]["extension"] == [as_of(1)]

    def test_a_new_mark_alone_raises_the_version(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        response = fhir.put(path(stored), json=with_meta(stored, extension=[as_of(2)]), headers={"if-match": 'W/"1"'})
        assert response.headers["etag"] == 'W/"2"'
        assert fhir.get(path(stored)).json()["meta"]["extension"] == [as_of(2)]

    def test_so_does_leaving_it_out(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        stored["meta"].pop("extension")
        assert fhir.put(path(stored), json=stored).headers["etag"] == 'W/"2"'
        assert "extension" not in fhir.get(path(stored)).json()["meta"]

    def test_the_same_mark_does_not(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        sent = study(stored["subject"]["reference"], uid=stored["identifier"][0]["value"], id=stored["id"])
        assert fhir.put(path(stored), json=sent).headers["etag"] == 'W/"1"'

    def test_likewise_in_a_transaction(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        for resource, version in ((stored, "1"), (with_meta(stored, extension=[as_of(2)]), "2")):
            request = {"method": "PUT", "url": path(stored), "ifMatch": 'W/"1"'}
            response = transaction(fhir, {"resource": resource, "request": request})
            assert response.json()["entry"][0]["response"]["location"].endswith(f"/_history/{version}")


class TestElements:
    def test_element_ids_and_fractions_of_seconds_are_kept(self, fhir: httpx.Client) -> None:
        stored = fhir.get(path(marked(fhir))).json()
        assert stored["note"] == [{"id": "dicom-00081030", "text": "CT HEAD"}]
        assert stored["started"] == "2024-01-02T03:04:05.120+01:00"


class TestTag:
    def test_a_tag_cannot_be_taken_off_by_an_update(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        response = fhir.put(path(stored), json=with_meta(stored, tag=[]))
        assert response.headers["etag"] == 'W/"1"'
        assert fhir.get(path(stored)).json()["meta"]["tag"] == [TAG]

    def test_another_tag_is_added(self, fhir: httpx.Client) -> None:
        stored = marked(fhir)
        other = {"system": "https://other.example", "code": "x"}
        assert fhir.put(path(stored), json=with_meta(stored, tag=[other])).headers["etag"] == 'W/"2"'
        tags = fhir.get(path(stored)).json()["meta"]["tag"]
        assert sorted(tags, key=str) == sorted([TAG, other], key=str)


class TestSource:
    def test_the_server_appends_a_request_id(self, fhir: httpx.Client) -> None:
        stored = created(fhir, with_meta(patient(meta={}), source="http://dicom.example/v1"))
        source, _, request = stored["meta"]["source"].partition("#")
        assert source == "http://dicom.example/v1"
        assert request

    def test_another_source_alone_changes_nothing(self, fhir: httpx.Client) -> None:
        stored = created(fhir, with_meta(patient(meta={}), source="http://dicom.example/v1"))
        for sent in (with_meta(stored, source="http://other.example"), stored | {"meta": {}}):
            assert fhir.put(path(stored), json=sent).headers["etag"] == 'W/"1"'
        assert fhir.get(path(stored)).json() == stored

    def test_a_change_without_a_source_loses_it(self, fhir: httpx.Client) -> None:
        stored = created(fhir, with_meta(patient(meta={}), source="http://dicom.example/v1"))
        fhir.put(path(stored), json=stored | {"meta": {}, "gender": "male"})
        assert fhir.get(path(stored)).json()["meta"]["source"].startswith("#")

    def test_a_change_with_the_source_as_read_keeps_it_under_a_new_request_id(self, fhir: httpx.Client) -> None:
        stored = created(fhir, with_meta(patient(meta={}), source="http://dicom.example/v1"))
        fhir.put(path(stored), json=stored | {"gender": "male"})
        source = fhir.get(path(stored)).json()["meta"]["source"]
        assert source.startswith("http://dicom.example/v1#")
        assert source != stored["meta"]["source"]
