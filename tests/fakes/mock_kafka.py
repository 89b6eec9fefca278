"""librdkafka's mock cluster with the errors it can be asked to answer with (rdkafka_mock.h).

Its Python client has no call for them, but brings the C library, whose functions ctypes finds. What the cluster is no
stand-in for is said in dicomcast_sandbox.kafka.
"""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import confluent_kafka

__all__ = ["API_KEYS", "MockKafka", "mock_kafka"]

API_KEYS: Final = {
    "Produce": 0,
    "Fetch": 1,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "SyncGroup": 14,
    "InitProducerId": 22,
    "AddPartitionsToTxn": 24,
}
_PRODUCER: Final = 0
_ERROR_TEXT: Final = 512


@dataclass(frozen=True, slots=True)
class MockKafka:
    """A running cluster of one broker."""

    bootstrap: str
    _library: Any
    _cluster: Any

    def create_topic(self, name: str, partitions: int) -> None:
        """Before anything else asks for it."""
        error = self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        assert error == 0, f"topic {name}: error {error}"

    def push_errors(self, api: str, codes: Sequence[int]) -> None:
        """The next requests of this kind, whoever sends them, are answered with these error codes."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._library.rd_kafka_mock_push_request_errors_array(
            self._cluster, ctypes.c_int16(API_KEYS[api]), ctypes.c_size_t(len(codes)), array
        )


@contextmanager
def mock_kafka() -> Iterator[MockKafka]:
    """Runs a cluster for the block."""
    library = ctypes.CDLL(str(_library_path()))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new", "rd_kafka_mock_cluster_bootstraps"):
        getattr(library, name).restype = ctypes.c_void_p
    text = ctypes.create_string_buffer(_ERROR_TEXT)
    conf = ctypes.c_void_p(library.rd_kafka_conf_new())
    library.rd_kafka_conf_set(conf, b"log_level", b"0", text, ctypes.c_size_t(_ERROR_TEXT))
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, conf, text, ctypes.c_size_t(_ERROR_TEXT)))
    assert client.value, text.value
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    assert cluster.value
    try:
        bootstraps = ctypes.string_at(library.rd_kafka_mock_cluster_bootstraps(cluster)).decode()
        yield MockKafka(bootstraps, library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(cluster)
        library.rd_kafka_destroy(client)


def _library_path() -> Path:
    """The librdkafka that the installed client has loaded."""
    assert confluent_kafka.libversion()
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "librdkafka" in line}
    return Path(sorted(loaded)[0])
