"""`dicomcast-sandbox kafka | dicom | fhir` as processes: the address first, a clean end."""

import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import httpx
import pytest
from confluent_kafka import Producer

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "dicomcast_sandbox", *arguments]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    process.send_signal(number)
    assert process.stdout is not None
    assert process.stderr is not None
    output = process.stdout.read()  # not communicate(), which would miss what readline() has buffered
    assert process.stderr.read() == ""
    return process.wait(30), output


def test_kafka_prints_its_bootstrap_servers_and_what_it_cannot_prove(start: Start) -> None:
    process = start("kafka")
    topics = Producer({"log_level": 0, "bootstrap.servers": _address(process)}).list_topics(timeout=10).topics
    assert "dicom.changes.v1.cursor" in topics
    code, output = _ended(process, signal.SIGTERM)
    assert code == 0
    assert "proves nothing about exactly-once" in output


def test_kafka_makes_the_topics_it_is_told(start: Start) -> None:
    process = start("kafka", "--topic", "mine")
    assert set(Producer({"log_level": 0, "bootstrap.servers": _address(process)}).list_topics(timeout=10).topics) == {
        "mine"
    }


@pytest.mark.parametrize(
    ("command", "path", "status"), [("dicom", "/v1/changefeed/latest", 204), ("fhir", "/metadata", 200)]
)
def test_a_server_prints_its_url_and_ends_with_0(start: Start, command: str, path: str, status: int) -> None:
    process = start(command, "--port", "0")
    assert httpx.get(_address(process) + path).status_code == status
    code, output = _ended(process, signal.SIGINT)
    assert code == 0
    assert "stand-in" in output


def test_a_port_that_is_taken_is_named(start: Start) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        process = start("dicom", "--port", str(port))
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 64
    assert f"--port {port}" in errors
    assert "Traceback" not in errors


def test_a_wrong_option_is_a_usage_error(start: Start) -> None:
    process = start("demo", "--no-such-option")
    process.communicate(timeout=30)
    assert process.returncode == 64
