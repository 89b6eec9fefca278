"""Probes and metrics of a member on a real Kafka, while its FHIR server works, is away, and works again."""

import re
from dataclasses import replace

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.events import create
from tests.fakes.fhir_server import RunningFhirServer
from tests.fakes.processes import Line, Running, eventually
from tests.integration.consumer.test_group import done, feed, produce


def port(running: Running) -> httpx.Client:
    """The member's HTTP port, as its log names it."""
    running.wait_for("http.listening")
    found = re.search(r"http\.listening address=(\S+)", running.text)
    assert found
    return httpx.Client(base_url=f"http://{found[1]}", timeout=30, trust_env=False)


def values(client: httpx.Client) -> dict[str, float]:
    """Samples by name, summed over their labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def test_a_fhir_outage_shows_in_readyz_and_never_in_livez(line: Line, fhir: RunningFhirServer) -> None:
    with line.consumer(env={"DICOMCAST_KAFKA__STATISTICS_INTERVAL_MS": "500"}) as member, port(member) as http:
        eventually(lambda: http.get("/readyz").status_code == 200, lambda: http.get("/readyz").text, member)
        assert http.get("/startupz").status_code == 200
        produce(line, feed(studies=6, instances=5))
        done(line, member)

        fhir.faults.answer(503, times=None)
        produce(line, [create(100 + n, f"1.{n}", f"1.{n}.99", patient_id=f"P{n % 5}") for n in range(1, 7)])
        eventually(lambda: http.get("/readyz").status_code == 503, lambda: http.get("/readyz").text, member)
        assert "[-] fhir:" in http.get("/readyz").text
        assert http.get("/livez").status_code == 200
        eventually(lambda: values(http)["dicomcast_topic_lag_records"] > 0, member.text.__str__, member)
        away = values(http)
        assert away["dicomcast_breaker_open"] == 1
        assert away["dicomcast_oldest_unfinished_age_seconds"] > 0

        fhir.faults.clear()
        done(line, member)
        eventually(lambda: http.get("/readyz").status_code == 200, lambda: http.get("/readyz").text, member)
        eventually(lambda: values(http)["dicomcast_topic_lag_records"] == 0, member.text.__str__, member)
        idle = lambda: values(http)["dicomcast_oldest_unfinished_age_seconds"] == 0  # noqa: E731
        eventually(idle, member.text.__str__, member)
        well = values(http)
        assert well["dicomcast_events_finished_total"] == well["dicomcast_event_age_seconds_count"] == 36
        assert well["dicomcast_partitions_assigned"] == line.partitions
        assert well["dicomcast_breaker_open"] == 0
        assert well["dicomcast_rebalances_total"] >= 1
        assert well["dicomcast_fhir_requests_total"] > 0
        assert not re.search(r'"(1(\.\d+){2,}|P\d)"', http.get("/metrics").text), "no UID or PatientID is a label"


def test_a_member_that_waits_for_fhir_at_the_start_is_alive_and_not_started(
    line: Line, fhir: RunningFhirServer
) -> None:
    fhir.faults.answer(503, times=None)
    with line.consumer() as member, port(member) as http:
        member.wait_for("fhir_server.waiting")
        assert http.get("/livez").status_code == 200
        assert http.get("/startupz").status_code == 503
        fhir.faults.clear()
        eventually(lambda: http.get("/startupz").status_code == 200, lambda: http.get("/startupz").text, member)


def test_a_partition_that_stopped_is_named(line: Line) -> None:
    with line.consumer() as member, port(member) as http:
        produce(line, [replace(create(1, "1.1", "1.1.1"), feed="elsewhere")])
        eventually(lambda: "stopped:" in http.get("/readyz").text, lambda: http.get("/readyz").text, member)
        assert "elsewhere" in http.get("/readyz").text
        assert values(http)["dicomcast_partitions_stopped"] == 1
