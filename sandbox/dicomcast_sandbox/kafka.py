"""librdkafka's mock cluster: a Kafka broker of this process for demos, without Java.

It takes transactions as calls but does not keep their promises: an aborted transaction stays visible, an older producer
is not fenced, nothing is compacted, old records go after some 5 MB a partition, all is forgotten at the end. It proves
nothing about exactly-once.
"""

from collections.abc import Sequence
from types import TracebackType
from typing import Final

from confluent_kafka import Producer
from dicomcast_schemas.topic import DEFAULT_TOPIC, cursor_topic, dead_letter_topic, done_topic

__all__ = ["DEFAULT_GROUP", "LIMITS", "MockCluster", "contract_topics"]

DEFAULT_GROUP: Final = "dicomcast-consumer"
LIMITS: Final = (
    "A stand-in (librdkafka's mock cluster): an aborted transaction stays visible and an older producer is not fenced, "
    "so it proves nothing about exactly-once. It cannot create topics on request (a topic appears, with 4 partitions, "
    "when it is first asked for), describe a group or alter its offsets, and it forgets everything when it ends."
)
_TIMEOUT_S: Final = 10.0


def contract_topics(topic: str = DEFAULT_TOPIC, *, group: str = DEFAULT_GROUP) -> tuple[str, str, str, str]:
    """The topics of events, of the cursor, of the group's dead letters and of those that are done."""
    return topic, cursor_topic(topic), dead_letter_topic(topic, group), done_topic(topic, group)


class MockCluster:
    """A cluster of one broker that lives as long as this object; other processes may connect to it."""

    def __init__(self) -> None:
        # The cluster belongs to a client of any kind; this one never produces.
        self._client: Producer | None = Producer({"test.mock.num.brokers": 1, "log_level": 2})
        brokers = self._client.list_topics(timeout=_TIMEOUT_S).brokers.values()
        self.bootstrap_servers: str = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)

    def touch(self, topics: Sequence[str]) -> None:
        """Makes topics exist, by asking for them. Raises RuntimeError when one does not."""
        assert self._client is not None, "the cluster is closed"
        for name in topics:
            error = self._client.list_topics(name, timeout=_TIMEOUT_S).topics[name].error
            if error is not None:
                raise RuntimeError(f"the mock cluster has no topic {name}: {error.str()}")

    def close(self) -> None:
        """Ends the cluster with all it holds."""
        self._client = None

    def __enter__(self) -> "MockCluster":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
