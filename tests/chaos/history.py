"""What a real FHIR server has written, by its own history (R4 http.html#history)."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import httpx

from tests.chaos.evidence import Transaction, Written

__all__ = ["history"]

_TYPES = ("Endpoint", "Patient", "ImagingStudy")
_asked = itertools.count()


def history(url: str) -> list[Transaction]:
    """Every version of every resource, in the order of their time; each as a transaction of its own.

    A deletion has no time in HAPI's history: it gets the one of the entry before it, which is no later than its own.
    """
    found = [transaction for kind in _TYPES for transaction in _of_type(url, kind)]
    _check_complete(found)
    return sorted(found, key=lambda one: one.at_s)


def _of_type(url: str, kind: str) -> Iterator[Transaction]:
    at_s = 0.0
    for entry in reversed(list(_entries(url, kind))):  # newest first
        resource = entry.get("resource")
        if resource is not None:
            at_s = datetime.fromisoformat(resource["meta"]["lastUpdated"]).timestamp()
            number = int(resource["meta"]["versionId"])
        else:
            number = int(entry["request"]["url"].rpartition("/")[2])
        identity = entry["fullUrl"].rpartition("/")[2]
        yield Transaction(at_s=at_s, versions=(Written(type=kind, id=identity, number=number, resource=resource),))


def _entries(url: str, kind: str) -> Iterator[dict[str, Any]]:
    # Asked with the same words again, HAPI would list no more versions than the first time.
    page = f"{url}/{kind}/_history?_count=500&_since=2000-01-01T00:00:{next(_asked) % 60:02}Z"
    while page:
        bundle = httpx.get(page, timeout=120).raise_for_status().json()
        yield from bundle.get("entry", [])
        page = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), "")


def _check_complete(found: list[Transaction]) -> None:
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for transaction in found:
        for written in transaction.versions:
            numbers[written.type, written.id].append(written.number)
    for key, versions in numbers.items():
        assert versions == list(range(1, len(versions) + 1)), f"the history of {key} has the versions {versions}"
