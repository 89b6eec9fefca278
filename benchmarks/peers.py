"""The real servers of a measurement: its own, warmed and quiet; for --quick those that run already, where there are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tests.services.peers import FhirServer, KafkaBroker

__all__ = ["hapi", "kafka"]


@contextmanager
def kafka(*, quick: bool) -> Iterator[str]:
    """Bootstrap servers of a broker."""
    running = os.environ.get("TEST_KAFKA") if quick else None
    if running:
        yield running
        return
    with KafkaBroker.started() as broker:
        yield broker.bootstrap


@contextmanager
def hapi(*, quick: bool) -> Iterator[tuple[str, int | None]]:
    """Base URL and process id of a FHIR server; the id is None where it is not ours."""
    running = os.environ.get("TEST_HAPI_URL") if quick else None
    if running:
        yield running, None
        return
    os.environ.setdefault("HAPI_TIER", "4")
    with FhirServer.started() as server:
        yield server.url, server.server.pid
