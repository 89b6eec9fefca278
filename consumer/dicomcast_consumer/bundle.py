"""The transaction Bundle of a plan, and what its answer means. Pure.

New resources are POST + ifNoneExist, changed ones PUT + ifMatch (R4 http.html#trules): sent twice, nothing is doubled.
"""

import urllib.parse
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from .errors import ConflictError
from .mapping.identity import Resource

__all__ = [
    "Entry",
    "check_answers",
    "create",
    "deletion_bundle",
    "placeholder",
    "transaction_bundle",
    "update",
    "version_of",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a transaction."""

    resource: Resource
    full_url: str
    if_none_exist: tuple[str, ...] = ()
    """Search tokens of a new resource: it exists when all of them are identifiers of one."""
    if_match: str | None = None
    """Version of a resource that exists."""


class Answer(Protocol):
    """The server's answer to an entry."""

    @property
    def status(self) -> int:
        """HTTP status."""


def placeholder(resource_type: str, *tokens: str) -> str:
    """The urn:uuid that stands for a new resource inside the bundle: the same for the same search tokens."""
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, resource_type + '?' + '&'.join(tokens))}"


def create(resource: Resource, *tokens: str) -> Entry:
    """The entry that creates the resource unless one with the identifiers exists."""
    full_url = placeholder(resource["resourceType"], *tokens)
    return Entry(resource=resource, full_url=full_url, if_none_exist=tokens)


def update(resource: Resource) -> Entry:
    """The entry that writes over the version that was read."""
    return Entry(
        resource=resource, full_url=f"{resource['resourceType']}/{resource['id']}", if_match=version_of(resource)
    )


def version_of(resource: Resource) -> str:
    """meta.versionId of a resource as read; empty where the server has none."""
    return str((resource.get("meta") or {}).get("versionId", ""))


def transaction_bundle(entries: Iterable[Entry]) -> Resource:
    """The Bundle of type transaction."""
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(entry) for entry in entries]}


def deletion_bundle(references: Iterable[str]) -> Resource:
    """The transaction that deletes all of `Type/id`, or none of them."""
    entries = [{"request": {"method": "DELETE", "url": reference}} for reference in references]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def check_answers(entries: Sequence[Entry], answers: Sequence[Answer]) -> None:
    """Raises ConflictError when a create found someone else's resource: what it holds has to be merged."""
    for entry, answer in zip(entries, answers, strict=True):
        if entry.if_none_exist and answer.status == 200:
            raise ConflictError(f"{entry.resource['resourceType']} was created by someone else meanwhile")


def _entry(entry: Entry) -> Resource:
    kind = entry.resource["resourceType"]
    if entry.if_none_exist:
        condition = urllib.parse.urlencode(
            [("identifier", token) for token in entry.if_none_exist], safe="", quote_via=urllib.parse.quote
        )
        request = {"method": "POST", "url": kind, "ifNoneExist": condition}
    else:
        request = {"method": "PUT", "url": f"{kind}/{entry.resource['id']}"}
        if entry.if_match:
            request["ifMatch"] = f'W/"{entry.if_match}"'
    return {"fullUrl": entry.full_url, "resource": entry.resource, "request": request}
