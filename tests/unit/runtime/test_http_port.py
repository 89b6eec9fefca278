"""The HTTP port over a real socket."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.health import Health, beats_within
from dicomcast_runtime.http_metrics import RequestMetrics
from dicomcast_runtime.http_port import HttpPort, routes_of
from dicomcast_runtime.http_settings import HttpSettings
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from pydantic import ValidationError

FINE = Health(alive={"event loop": lambda: None}, ready={"kafka": lambda: None}, started={"producer": lambda: None})


@contextmanager
def serving(health: Health = FINE, registry: CollectorRegistry | None = None) -> Iterator[httpx.Client]:
    routes = routes_of(health, registry or CollectorRegistry())
    with (
        HttpPort(HttpSettings(listen="127.0.0.1:0"), routes) as port,
        httpx.Client(base_url=f"http://{port.address}", trust_env=False) as client,
    ):
        yield client


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz"])
def test_all_well(path: str) -> None:
    with serving() as client:
        answer = client.get(path)
    assert answer.status_code == 200
    assert answer.text.endswith("ok\n")


def test_an_outage_of_a_peer_is_not_ready_but_alive() -> None:
    health = Health(alive=FINE.alive, ready={"fhir": lambda: "breaker open", "kafka": lambda: None}, started={})
    with serving(health) as client:
        ready, alive = client.get("/readyz"), client.get("/livez")
    assert ready.status_code == 503
    assert ready.text == "[-] fhir: breaker open\n[+] kafka\nfailed\n"
    assert alive.status_code == 200


def test_a_loop_that_stopped_beating_is_not_alive() -> None:
    stuck = Health(alive={"event loop": beats_within(5.0, lambda: time.monotonic() - 60)}, ready={}, started={})
    with serving(stuck) as client:
        answer = client.get("/livez")
    assert answer.status_code == 503
    assert "event loop: silent for 6" in answer.text


def test_metrics_are_what_prometheus_reads() -> None:
    registry = CollectorRegistry()
    RequestMetrics("dicomcast_fhir", "FHIR server", registry).note("GET", "200", 0.2)
    with serving(registry=registry) as client:
        answer = client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    sample = families["dicomcast_fhir_requests"].samples[0]
    assert (sample.labels, sample.value) == ({"method": "GET", "status": "200"}, 1.0)
    assert families["dicomcast_fhir_request_duration_seconds"].type == "histogram"


def test_another_path_says_what_there_is() -> None:
    with serving() as client:
        answer = client.get("/health")
        head = client.head("/livez")
        posted = client.post("/livez")
    assert answer.status_code == 404
    assert "/livez" in answer.text
    assert (head.status_code, head.content) == (200, b"")
    assert posted.status_code == 501


def test_off_binds_nothing() -> None:
    with HttpPort(HttpSettings(listen="off"), {}) as port:
        assert port.address is None


def test_an_address_in_use_names_the_setting() -> None:
    with HttpPort(HttpSettings(listen="127.0.0.1:0"), {}) as port:
        assert port.address is not None
        with pytest.raises(ConfigurationError, match="DICOMCAST_HTTP__LISTEN"):
            HttpPort(HttpSettings(listen=port.address), {})


@pytest.mark.parametrize("listen", ["8080", "", "localhost", "a b:1", "host:123456"])
def test_an_address_that_is_none_is_refused(listen: str) -> None:
    with pytest.raises(ValidationError):
        HttpSettings(listen=listen)


def test_requests_are_counted_by_method_and_status() -> None:
    registry = CollectorRegistry()
    metrics = RequestMetrics("dicomcast_feed", "DICOM server", registry)

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/gone":
            raise httpx.ConnectError("no one there")
        return httpx.Response(204)

    async def ask() -> None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://127.0.0.1")
        async with metrics.watch(client):
            await client.get("/")
            with pytest.raises(httpx.ConnectError):
                await client.get("/gone")

    asyncio.run(ask())
    count = registry.get_sample_value
    assert count("dicomcast_feed_requests_total", {"method": "GET", "status": "204"}) == 1
    assert count("dicomcast_feed_requests_total", {"method": "GET", "status": "error"}) == 1
