"""Read, vread and the history of one resource."""

from __future__ import annotations

from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.store import Key, Store, Version


def read(store: Store, key: Key) -> Version:
    """The current version; FhirError 404 for an id never used, 410 for a deleted resource."""
    latest = store.latest(key)
    if latest is None:
        raise FhirError(404, f"Resource {key} is not known")
    if latest.resource is None:
        raise FhirError(410, f"Resource was deleted at {latest.at}", headers={"location": version_path(latest)})
    return latest


def vread(store: Store, key: Key, number: str) -> Version:
    """That version, also of a resource deleted since; FhirError 404 and 410 as `read`."""
    found = [version for version in store.versions(key) if str(version.number) == number]
    if not found:
        raise FhirError(404, f"This version is not valid for resource {key}")
    if found[0].resource is None:
        raise FhirError(410, f"Resource was deleted at {found[0].at}")
    return found[0]


def history(store: Store, key: Key) -> list[Version]:
    """All versions, newest first; FhirError 404 for an id never used."""
    versions = store.versions(key)
    if not versions:
        raise FhirError(404, f"Resource {key} is not known")
    return versions[::-1]


def version_path(version: Version) -> str:
    """`Patient/1/_history/2`."""
    return f"{version.key}/_history/{version.number}"
