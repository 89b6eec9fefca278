"""Kafka's clients, which nobody waits for while they end.

To destroy one is to join librdkafka's threads, and that of a broker that gave no answer may never end (seen with
librdkafka 2.16: an admin client that had asked for a group's coordinator at an address that nobody reaches; after
outages, librdkafka #4674): whoever lets go of the client, or closes a consumer, would stand still for good. So each
ends on a thread of its own; one that hangs there stays, idle, as long as the process.

A member's own consumer is none of these: to leave the group is part of its end, and `source` bounds that.
"""

import _thread
import sys
import threading
from typing import Any, Final

import confluent_kafka
import confluent_kafka.admin

__all__ = ["AdminClient", "Producer", "ReadingConsumer", "bound_fetching"]

_CLOSE_S: Final = 5.0
_REFILL_MS: Final = 50


def bound_fetching(config: dict[str, Any], *, kbytes: int) -> None:
    """Bounds what a consumer's client fetches ahead, where a person has not.

    A client whose queue is full asks that partition's broker again only after `fetch.queue.backoff.ms`, whatever has
    left the queue meanwhile. librdkafka's second is meant for its queue of 64 MiB; one that is emptied in less stands
    still for the rest of it.
    """
    config.setdefault("queued.max.messages.kbytes", kbytes)
    config.setdefault("fetch.queue.backoff.ms", _REFILL_MS)


class _EndsApart:
    def __del__(self) -> None:
        if not sys.is_finalizing():
            # The list brings the client back to life (PEP 442: once), until the thread takes it out of there.
            _thread.start_new_thread([self].clear, ())


class AdminClient(_EndsApart, confluent_kafka.admin.AdminClient):
    """Asks and changes what brokers have."""


class Producer(_EndsApart, confluent_kafka.Producer):
    """Writes."""


class ReadingConsumer(_EndsApart, confluent_kafka.Consumer):
    """Reads, or is a member for a moment: nobody's work depends on how it ends."""

    def close(self) -> None:
        """Ends it; waits for that no longer than `_CLOSE_S`."""
        closing = threading.Thread(target=super().close, name="kafka-close", daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
