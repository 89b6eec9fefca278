"""Resource.meta: what the server sets, what it keeps, and when two contents are the same."""

from __future__ import annotations

from typing import Any

from dicomcast_sandbox.fhir.json_text import JsonObject

SET_BY_SERVER = ("versionId", "lastUpdated", "source")
STICKY = ("tag", "security")


def stamped(
    resource: JsonObject, previous: JsonObject | None, *, id_: str, number: int, at: str, request_id: str
) -> JsonObject:
    """The resource as it is stored.

    As HAPI: meta.source is cut at # and gets the request id; a tag or security label that a former version had stays.
    """
    sent = resource.get("meta", {})
    meta = {name: value for name, value in sent.items() if name not in (*SET_BY_SERVER, *STICKY)}
    source = f"{str(sent.get('source', '')).partition('#')[0]}#{request_id}"
    meta |= {"versionId": str(number), "lastUpdated": at, "source": source}
    former = {} if previous is None else previous.get("meta", {})
    meta |= {name: labels for name in STICKY if (labels := _united(former.get(name, []), sent.get(name, [])))}
    rest = {name: value for name, value in resource.items() if name not in ("resourceType", "id", "meta")}
    return {"resourceType": resource["resourceType"], "id": id_, "meta": meta} | rest


def same_content(one: JsonObject, other: JsonObject) -> bool:
    """True when they differ at most in what the server sets."""
    return _content(one) == _content(other)


def _content(resource: JsonObject) -> JsonObject:
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in SET_BY_SERVER}
    return resource | {"meta": meta}


def _united(former: list[Any], sent: list[Any]) -> list[Any]:
    known = {(one.get("system"), one.get("code")) for one in former}
    return [*former, *(one for one in sent if (one.get("system"), one.get("code")) not in known)]
