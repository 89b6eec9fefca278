"""dlq list and dlq show on a real broker."""

import json

import pytest
from confluent_kafka import Producer
from dicomcast_schemas.topic import partition_for

from tests.fakes.events import create, delete
from tests.integration.consumer_commands.clusters import Cluster

SOURCE = {"DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "https://pacs.example/dicomweb"}


@pytest.fixture
def cluster(kafka: str) -> Cluster:
    cluster = Cluster.with_topics(kafka)
    cluster.reject(create(1, "1.2.1", "1.2.1.1", patient_id=None), "map.patient_id_missing")
    cluster.reject(create(2, "1.2.2", "1.2.2.1"), "fhir.refused")
    cluster.reject(delete(3, "1.2.2", "1.2.2.1"), "fhir.refused")
    return cluster


def listed(cluster: Cluster, *args: str) -> list[int]:
    result = cluster.run("dlq", "list", "--json", *args)
    assert result.code == 0, result.err
    return sorted(json.loads(line)["sequence"] for line in result.out.splitlines())


def test_list_and_its_filters(cluster: Cluster) -> None:
    assert listed(cluster) == [1, 2, 3]
    assert listed(cluster, "--study", "1.2.2") == [2, 3]
    assert listed(cluster, "--code", "map") == [1]
    assert listed(cluster, "--code", "fhir.refused") == [2, 3]
    assert listed(cluster, "--since", "2026-01-02T03:04:05Z") == [1, 2, 3]
    assert listed(cluster, "--since", "2026-01-02T03:04:06Z") == []
    assert listed(cluster, "--until", "2026-01-02T03:04:05Z") == []
    assert listed(cluster, "--until", "2026-01-02T03:04:06Z") == [1, 2, 3]
    assert listed(cluster, "--source", f"{partition_for(b'1.2.1', 4)}:1") == [1]
    assert listed(cluster, "--state", "done") == []


def test_the_table_has_what_a_person_needs(cluster: Cluster) -> None:
    lines = cluster.run("dlq", "list").out.splitlines()
    assert lines[0].split() == ["letter", "study", "sequence", "code", "reason", "attempts", "failed", "at", "state"]
    (missing,) = (line for line in lines if "map.patient_id_missing" in line)
    assert {"1.2.1", "1", "2026-01-02"} <= set(missing.split())
    assert lines[-1].endswith(": 3 pending, 0 done")


def test_letters_of_an_aborted_transaction_do_not_exist(cluster: Cluster) -> None:
    producer = Producer({"log_level": 0, "bootstrap.servers": cluster.bootstrap, "transactional.id": cluster.letters})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(cluster.letters, key=b"1.2.9", value=b"x", partition=0)
    producer.flush(30)
    producer.abort_transaction(30)
    assert listed(cluster) == [1, 2, 3]


def test_an_open_transaction_is_not_waited_for(cluster: Cluster) -> None:
    producer = Producer({"log_level": 0, "bootstrap.servers": cluster.bootstrap, "transactional.id": cluster.letters})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(cluster.letters, key=b"1.2.9", value=b"x", partition=0)
    producer.flush(30)
    try:
        assert listed(cluster) == [1, 2, 3]
    finally:
        producer.abort_transaction(30)


def test_show(cluster: Cluster) -> None:
    (line,) = (
        json.loads(line)
        for line in cluster.run("dlq", "list", "--json").out.splitlines()
        if "map.patient_id_missing" in line
    )
    shown = cluster.run("dlq", "show", line["position"], "--json", **SOURCE)
    assert shown.code == 0, shown.err
    document = shown.document
    assert document["letter"].items() <= line.items()
    assert document["state"] == "pending"
    assert document["replay"] == f"dicomcast-consumer dlq replay {line['position']}"
    assert document["headers"]["dlq.source.group"] == "g"
    assert document["event"]["sop_instance_uid"] == "1.2.1.1"
    assert document["mapping_now"].startswith("rejected again: map.patient_id_missing")
    assert "Doe" not in shown.out
    placeholder = {"DICOMCAST_MAPPING__MISSING_PATIENT_ID": "placeholder"}
    text = cluster.run("dlq", "show", line["position"], **SOURCE, **placeholder).out
    assert "mapping now: mapped: upsert" in text
    assert "Doe" not in text
    assert "Doe" in cluster.run("dlq", "show", line["position"], "--metadata").out


def test_show_of_what_is_not_there_is_65(cluster: Cluster) -> None:
    for position in ("0:99", "9:0"):
        result = cluster.run("dlq", "show", position)
        assert (result.code, position in result.err) == (65, True)


def test_a_group_without_dead_letter_topic_is_64(cluster: Cluster) -> None:
    result = cluster.run("dlq", "list", DICOMCAST_CONSUMER__GROUP="other")
    assert (result.code, "other.dlq" in result.err) == (64, True)


def test_status_counts_them(cluster: Cluster) -> None:
    assert cluster.run("status", "--json").document["dead_letters"] == 3
