"""The limit: the same final resources as ready-made transaction bundles, sent by a bare loop."""

import threading
import time
from collections.abc import Sequence

import httpx
import orjson
from dicomcast_consumer.bundle import transaction_bundle
from dicomcast_consumer.mapping import MappingOptions, SourceProfile, endpoint_resource, read_event
from dicomcast_consumer.plan import FhirState, StudyWork, plan_studies
from dicomcast_schemas import DicomChangeEvent

from .topic import DICOMWEB
from .workloads import FEED

__all__ = ["bundles", "make_endpoint", "send"]

_PROFILE = SourceProfile(feed=FEED, dicomweb_url=DICOMWEB)
_OPTIONS = MappingOptions()


def make_endpoint(fhir_url: str) -> str:
    """Makes the Endpoint unless it is there; its id."""
    found = httpx.post(
        f"{fhir_url}/Endpoint",
        json=endpoint_resource(DICOMWEB),
        headers={"If-None-Exist": f"identifier=urn:ietf:rfc:3986%7C{DICOMWEB.replace(':', '%3A')}"},
        timeout=120,
    )
    found.raise_for_status()
    return str(found.json()["id"])


def bundles(events: Sequence[DicomChangeEvent], *, studies: int, endpoint: str) -> list[bytes]:
    """Transactions of so many studies each, with their Patients."""
    by_study: dict[str, list[DicomChangeEvent]] = {}
    for event in events:
        by_study.setdefault(event.study_instance_uid, []).append(event)
    works = [
        StudyWork(
            study_instance_uid=uid,
            profile=_PROFILE,
            changes=tuple(read_event(event, profile=_PROFILE, options=_OPTIONS) for event in found),
        )
        for uid, found in by_study.items()
    ]
    state = FhirState(studies={}, patients={}, by_reference={}, endpoints={DICOMWEB: {"id": endpoint}})
    return [
        orjson.dumps(transaction_bundle(plan_studies(works[n : n + studies], state, options=_OPTIONS).entries))
        for n in range(0, len(works), studies)
    ]


def send(fhir_url: str, ready: Sequence[bytes], *, in_flight: int) -> float:
    """Sends them all; the seconds it takes."""
    waiting, lock = list(reversed(ready)), threading.Lock()
    failures: list[Exception] = []

    def loop() -> None:
        headers = {"Content-Type": "application/fhir+json", "Prefer": "return=minimal"}
        with httpx.Client(timeout=120) as client:
            while True:
                with lock:
                    if not waiting:
                        return
                    bundle = waiting.pop()
                try:
                    client.post(fhir_url, content=bundle, headers=headers).raise_for_status()
                except httpx.HTTPError as error:
                    failures.append(error)
                    return

    threads = [threading.Thread(target=loop) for _ in range(in_flight)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return time.monotonic() - begun
