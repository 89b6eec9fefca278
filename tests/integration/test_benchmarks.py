"""Each part of the benchmarks runs through, in tiny sizes, with the real servers."""

import pytest

from benchmarks import bridge, end_to_end, latency, scaling
from benchmarks.result import Row

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _servers_that_run(monkeypatch: pytest.MonkeyPatch, kafka: str, hapi: str) -> None:
    monkeypatch.setenv("TEST_KAFKA", kafka)
    monkeypatch.setenv("TEST_HAPI_URL", hapi)


def names(rows: list[Row]) -> str:
    assert all(row.ratio >= 0 for row in rows)
    return "\n".join(row.name for row in rows)


def test_bridge() -> None:
    assert "bare transactional produce" in names(bridge.measure(quick=True))


def test_latency() -> None:
    found = names(latency.measure(quick=True))
    assert found.count("p50") == found.count("p99") == 2


def test_scaling() -> None:
    rows = scaling.measure(quick=True)
    assert "1 to 4 in flight" in names(rows)
    memory = next(row for row in rows if row.name.startswith("memory with"))
    assert memory.ratio > 10


def test_end_to_end() -> None:
    rows = end_to_end.measure(quick=True)
    assert [row.ratio for row in rows if row.name.endswith("replay, writes")] == [0, 0]
    # How many instances share a request depends on when they arrive: in sizes this small that is no verdict.
    counted = [row.ratio for row in rows if "backlog, FHIR requests per instance" in row.name]
    assert len(counted) >= 2
    assert min(counted) > 0
