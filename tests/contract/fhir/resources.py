"""Resources and Bundle entries for the tests, each with an identifier of its own."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import quote

import httpx

Json = dict[str, Any]
SYSTEM = "urn:example:patients"
AS_OF = "https://dicomcast.example/fhir/as-of"


def fresh() -> str:
    """A value that no other resource has."""
    return uuid.uuid4().hex


def urn() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


def patient(value: str | None = None, *, system: str | None = SYSTEM, **elements: Any) -> Json:
    identifier = {"value": value or fresh()} | ({} if system is None else {"system": system})
    return {"resourceType": "Patient", "identifier": [identifier], **elements}


def endpoint(name: str | None = None, *, code: str = "dicom-wado-rs", **elements: Any) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/endpoint-connection-type"
    return {
        "resourceType": "Endpoint",
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": f"http://127.0.0.1/{fresh()}"}],
        "status": "active",
        "connectionType": {"system": system, "code": code},
        "payloadType": [{"text": "any"}],
        "address": "http://127.0.0.1/",
        "name": name or fresh(),
        **elements,
    }


def study(subject: str, *, uid: str | None = None, **elements: Any) -> Json:
    """An ImagingStudy as the consumer writes it: with a mark, a tag, a source and an element id."""
    return {
        "resourceType": "ImagingStudy",
        "meta": {"extension": [as_of(1)], "tag": [{"system": "https://dicomcast.example/tag", "code": "ours"}]},
        "identifier": [{"system": "urn:dicom:uid", "value": uid or study_uid()}],
        "status": "available",
        "subject": {"reference": subject},
        "started": "2024-01-02T03:04:05.120+01:00",
        "note": [{"id": "dicom-00081030", "text": "CT HEAD"}],
        **elements,
    }


def study_uid() -> str:
    return f"urn:oid:2.25.{uuid.uuid4().int}"


def as_of(sequence: int) -> Json:
    inner = [
        {"url": "sequence", "valueString": str(sequence)},
        {"url": "at", "valueInstant": "2024-01-02T03:04:05.123456Z"},
    ]
    return {"url": AS_OF, "extension": inner}


def condition(resource: Json) -> str:
    """The match URL of the resource's identifier, escaped for FHIR and percent-encoded."""
    identifier = resource["identifier"][0]
    return f"identifier={quote(token(identifier['value'], system=identifier.get('system', '')), safe='')}"


def token(value: str, *, system: str = SYSTEM) -> str:
    r"""`system|value` with `\` `,` `|` `$` escaped."""
    return f"{escaped(system)}|{escaped(value)}"


def escaped(text: str) -> str:
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in text)


def entry(method: str, url: str, resource: Json | None = None, full_url: str | None = None, **request: str) -> Json:
    made: Json = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource else {}) | ({"fullUrl": full_url} if full_url else {})


def transaction(client: httpx.Client, *entries: Json, kind: str = "transaction") -> httpx.Response:
    return client.post("", json={"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def created(client: httpx.Client, resource: Json) -> Json:
    """The resource as the server stored it."""
    response = client.post(resource["resourceType"], json=resource)
    assert response.status_code == 201, response.text
    stored: Json = response.json()
    return stored


def path(resource: Json) -> str:
    return f"{resource['resourceType']}/{resource['id']}"


def ids(bundle: Json, mode: str = "match") -> list[str]:
    return [one["resource"]["id"] for one in bundle.get("entry", []) if one["search"]["mode"] == mode]


def statuses(response: httpx.Response) -> list[int]:
    """Of a response Bundle's entries."""
    assert response.status_code == 200, response.text
    return [int(one["response"]["status"].split()[0]) for one in response.json().get("entry", [])]


def assert_refused(response: httpx.Response, status: int) -> None:
    """The status, and an OperationOutcome with an error."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/fhir+json")
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["severity"] == "error"
