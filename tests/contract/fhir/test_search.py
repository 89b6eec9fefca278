"""Searches as the consumer sends them, on the sandbox and on HAPI."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from dicomcast_consumer.fhir_client import FhirClient
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.peer_settings import PeerSettings

from tests.contract.fhir.resources import (
    SYSTEM,
    Json,
    assert_refused,
    created,
    endpoint,
    escaped,
    fresh,
    ids,
    path,
    patient,
    study,
    token,
)

FORM = {"content-type": "application/x-www-form-urlencoded"}


def search(fhir: httpx.Client, type_: str, **params: str | list[str]) -> Json:
    response = fhir.get(type_, params=params)
    assert response.status_code == 200, response.text
    bundle: Json = response.json()
    assert bundle["type"] == "searchset"
    return bundle


class TestIdentifier:
    def test_system_and_value(self, fhir: httpx.Client) -> None:
        value = fresh()
        ours, other, bare = (created(fhir, patient(value, system=one))["id"] for one in (SYSTEM, "urn:other", None))
        for text, expected in (
            (f"{SYSTEM}|{value}", [ours]),
            (f"|{value}", [bare]),
            (value, [ours, other, bare]),
            (f"{SYSTEM}|{value},urn:other|{value}", [ours, other]),
            (f"{SYSTEM}|{value[:-1]}", []),
            (f"{SYSTEM}|{value.upper()}x", []),
        ):
            assert sorted(ids(search(fhir, "Patient", identifier=text))) == sorted(expected), text

    def test_case_matters(self, fhir: httpx.Client) -> None:
        value = f"A{fresh()}"
        created(fhir, patient(value))
        assert ids(search(fhir, "Patient", identifier=token(value.lower()))) == []

    def test_a_repeated_parameter_is_and(self, fhir: httpx.Client) -> None:
        value = fresh()
        one = created(fhir, patient(value) | {"identifier": [{"value": value}, {"value": f"{value}b"}]})
        created(fhir, patient(value))
        assert ids(search(fhir, "Patient", identifier=[value, f"{value}b"])) == [one["id"]]

    def test_the_total_counts_matches_alone(self, fhir: httpx.Client) -> None:
        value = fresh()
        created(fhir, patient(value))
        assert search(fhir, "Patient", identifier=token(value))["total"] == 1
        assert search(fhir, "Patient", identifier=token(fresh()))["total"] == 0

    @pytest.mark.parametrize("sign", [",", "|", "$", "\\", " ", "+", "&", "%41", "#", "?", "=", ";", "/", "äö"])
    def test_an_escaped_value_finds_exactly_its_resource(self, fhir: httpx.Client, sign: str) -> None:
        before, after = fresh(), fresh()
        for decoy in (before, after, f"{before}{after}"):
            created(fhir, patient(decoy))
        wanted = created(fhir, patient(f"{before}{sign}{after}"))["id"]
        text = token(f"{before}{sign}{after}")
        assert ids(search(fhir, "Patient", identifier=text)) == [wanted]
        assert ids(fhir.post("Patient/_search", data={"identifier": text}).json()) == [wanted]

    def test_a_bare_comma_is_or(self, fhir: httpx.Client) -> None:
        before, after = fresh(), fresh()
        one, two = created(fhir, patient(before))["id"], created(fhir, patient(after))["id"]
        created(fhir, patient(f"{before},{after}"))
        assert sorted(ids(search(fhir, "Patient", identifier=f"{before},{after}"))) == sorted([one, two])

    def test_an_empty_value_finds_everything(self, fhir: httpx.Client) -> None:
        """HAPI takes `identifier=` for no criterion at all: never send one."""
        created(fhir, patient())
        assert search(fhir, "Patient", identifier="", _count="1")["entry"]

    def test_a_deleted_resource_is_not_found(self, fhir: httpx.Client) -> None:
        value = fresh()
        fhir.delete(path(created(fhir, patient(value))))
        assert ids(search(fhir, "Patient", identifier=token(value))) == []

    def test_a_former_identifier_is_not_found(self, fhir: httpx.Client) -> None:
        value = fresh()
        first = created(fhir, patient(value))
        fhir.put(path(first), json=first | {"identifier": [{"value": fresh()}]})
        assert ids(search(fhir, "Patient", identifier=token(value))) == []


class TestManyIdentifiers:
    def test_fifty_at_once_by_get_and_by_post(self, fhir: httpx.Client) -> None:
        subject = path(created(fhir, patient()))
        made = [created(fhir, study(subject)) for _ in range(50)]
        text = ",".join(f"urn:dicom:uid|{one['identifier'][0]['value']}" for one in made)
        params: dict[str, str | list[str]] = {
            "identifier": text,
            "_count": "100",
            "_include": ["ImagingStudy:subject", "ImagingStudy:endpoint"],
        }
        for response in (
            fhir.get("ImagingStudy", params=params),
            fhir.post("ImagingStudy/_search", data=params),
        ):
            bundle = response.json()
            assert sorted(ids(bundle)) == sorted(one["id"] for one in made)
            assert ids(bundle, "include") == [subject.split("/")[1]]
            assert "next" not in {link["relation"] for link in bundle["link"]}

    def test_a_long_url_is_refused_and_a_long_form_is_not(self, fhir: httpx.Client) -> None:
        text = ",".join(f"urn:dicom:uid|urn:oid:2.25.{10**37 + number}" for number in range(200))
        closing = {"Connection": "close"}  # Jetty closes it after a 414, sometimes under the next request
        assert fhir.get("ImagingStudy", params={"identifier": text}, headers=closing).status_code == 414
        assert fhir.post("ImagingStudy/_search", data={"identifier": text}).json()["total"] == 0


class TestEndpoint:
    def test_name_is_a_prefix_whatever_the_case_and_the_accents(self, fhir: httpx.Client) -> None:
        name = f"Ärzte {fresh()}"
        one = created(fhir, endpoint(name))["id"]
        two = created(fhir, endpoint(f"{name} zwei"))["id"]
        created(fhir, endpoint(f"x{name}"))
        for text in (name, name.upper(), name.replace("Ä", "a")):
            assert sorted(ids(search(fhir, "Endpoint", name=text))) == sorted([one, two])
        assert ids(search(fhir, "Endpoint", **{"name:exact": name})) == [one]

    def test_a_comma_in_a_name_is_escaped(self, fhir: httpx.Client) -> None:
        name = f"a,{fresh()}"
        one = created(fhir, endpoint(name))["id"]
        assert ids(search(fhir, "Endpoint", name=escaped(name))) == [one]

    def test_connection_type(self, fhir: httpx.Client) -> None:
        name = fresh()
        wado, qido = (created(fhir, endpoint(name, code=code))["id"] for code in ("dicom-wado-rs", "dicom-qido-rs"))
        system = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
        for text, expected in (
            ("dicom-wado-rs", [wado]),
            (f"{system}|dicom-qido-rs", [qido]),
            ("urn:x|dicom-qido-rs", []),
        ):
            assert ids(search(fhir, "Endpoint", name=name, **{"connection-type": text})) == expected


class TestImagingStudy:
    def test_by_id(self, fhir: httpx.Client) -> None:
        subject = path(created(fhir, patient()))
        one, two = (created(fhir, study(subject))["id"] for _ in range(2))
        assert sorted(ids(search(fhir, "ImagingStudy", _id=f"{one},{two},nobody"))) == sorted([one, two])

    def test_by_patient(self, fhir: httpx.Client) -> None:
        subject, other = created(fhir, patient()), created(fhir, patient())
        one = created(fhir, study(path(subject)))["id"]
        created(fhir, study(path(other)))
        for name, text in (
            ("subject", path(subject)),
            ("subject", subject["id"]),
            ("patient", path(subject)),
            ("patient", subject["id"]),
            ("subject:Patient", subject["id"]),
            ("subject", f"{path(subject)},Patient/nobody"),
        ):
            assert ids(search(fhir, "ImagingStudy", **{name: text})) == [one], (name, text)

    def test_an_absolute_reference_to_this_server_finds_nothing(self, fhir: httpx.Client) -> None:
        subject = path(created(fhir, patient()))
        created(fhir, study(subject))
        assert ids(search(fhir, "ImagingStudy", subject=f"{fhir.base_url}{subject}")) == []

    def test_include(self, fhir: httpx.Client) -> None:
        subject, target = created(fhir, patient()), created(fhir, endpoint())
        one = created(fhir, study(path(subject), endpoint=[{"reference": path(target)}]))["id"]
        for include, expected in (
            (["ImagingStudy:subject", "ImagingStudy:endpoint"], [subject["id"], target["id"]]),
            (["ImagingStudy:patient"], [subject["id"]]),
            (["ImagingStudy:subject:Patient"], [subject["id"]]),
            (["ImagingStudy:endpoint"], [target["id"]]),
            ([], []),
        ):
            bundle = search(fhir, "ImagingStudy", _id=one, _include=include)
            assert ids(bundle) == [one]
            assert sorted(ids(bundle, "include")) == sorted(expected)
            assert bundle["total"] == 1

    @pytest.mark.parametrize("include", ["ImagingStudy:nonsense", "nonsense"])
    def test_an_unknown_include_is_refused(self, fhir: httpx.Client, include: str) -> None:
        assert_refused(fhir.get("ImagingStudy", params={"_include": include}), 400)


class TestPages:
    def test_next_links_lead_through_all_matches_once(self, fhir: httpx.Client) -> None:
        subject = created(fhir, patient())
        made = [created(fhir, study(path(subject)))["id"] for _ in range(7)]
        bundle = search(fhir, "ImagingStudy", patient=subject["id"], _count="3", _include="ImagingStudy:subject")
        sizes, seen = [len(ids(bundle))], ids(bundle)
        while following := [link["url"] for link in bundle["link"] if link["relation"] == "next"]:
            assert following[0].startswith(f"{str(fhir.base_url).rstrip('/')}?")
            bundle = fhir.get(following[0]).json()
            assert ids(bundle, "include") == [subject["id"]]
            assert bundle["total"] == 7
            sizes.append(len(ids(bundle)))
            seen += ids(bundle)
        assert sizes == [3, 3, 1]
        assert sorted(seen) == sorted(made)

    def test_a_page_of_a_search_that_is_no_longer_kept_is_gone(self, fhir: httpx.Client) -> None:
        token_ = "00000000-0000-0000-0000-000000000000"
        assert_refused(fhir.get(f"?_getpages={token_}&_getpagesoffset=1"), 410)

    def test_count_zero_gives_the_total_alone(self, fhir: httpx.Client) -> None:
        subject = created(fhir, patient())
        created(fhir, study(path(subject)))
        for params in ({"_count": "0"}, {"_summary": "count"}):
            bundle = search(fhir, "ImagingStudy", patient=subject["id"], **params)
            assert bundle["total"] == 1
            assert "entry" not in bundle


class TestRefusals:
    @pytest.mark.parametrize("params", [{"nonsense": "1"}, {"_count": "x"}])
    def test_unknown_parameters(self, fhir: httpx.Client, params: dict[str, str]) -> None:
        assert_refused(fhir.get("Patient", params=params), 400)

    def test_a_modifier_that_is_switched_off(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.get("Endpoint", params={"name:contains": "x"}), 405)

    def test_an_unknown_type(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.get("Nonsense"), 404)

    def test_the_base_itself(self, fhir: httpx.Client) -> None:
        assert_refused(fhir.get(""), 400)


class TestOurSearch:
    """FhirClient.search: all that there is, however many were expected."""

    @pytest.mark.parametrize("most", [3, 5, 6])
    def test_nothing_is_missed_where_more_is_found_than_was_expected(self, fhir: httpx.Client, most: int) -> None:
        value = fresh()
        made = [created(fhir, patient(value))["id"] for _ in range(5)]

        async def scenario() -> list[Json]:
            async with peer_client(PeerSettings(url=str(fhir.base_url))) as http:
                return await FhirClient(http).search("Patient", [("identifier", token(value))], most=most)

        assert sorted(found["id"] for found in asyncio.run(scenario())) == sorted(made)
