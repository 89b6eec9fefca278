"""What a member is doing, as values that another thread may read: for probes and metrics."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KafkaStats", "MemberState", "kafka_stats"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberState:
    """One look at the loop; never changed, only replaced."""

    assigned: tuple[int, ...] = ()
    stopped: Mapping[int, str] = field(default_factory=dict)
    """Partition → why nothing more of it is applied."""
    studies_in_flight: int = 0
    records_waiting: int = 0
    oldest_ms: int | None = None
    """Record timestamp of the oldest record that is neither in FHIR nor an acknowledged letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaStats:
    """What librdkafka says of itself (STATISTICS.md)."""

    lag: Mapping[int, int]
    """By assigned partition: records between the committed offset and the end."""
    queued_records: int
    queued_bytes: int
    """Fetched and not yet handed over."""
    broker_up: bool
    in_group: bool
    """Whether the member has joined and nothing is being rebalanced."""


def kafka_stats(text: str, *, topic: str) -> KafkaStats:
    """The statistics of a consumer of one topic."""
    stats: dict[str, Any] = json.loads(text)
    partitions = {int(p): each for p, each in stats.get("topics", {}).get(topic, {}).get("partitions", {}).items()}
    owned = {p: each for p, each in partitions.items() if p >= 0 and each.get("desired")}
    group = stats.get("cgrp", {})
    return KafkaStats(
        lag={p: each["consumer_lag"] for p, each in owned.items() if each.get("consumer_lag", -1) >= 0},
        queued_records=sum(each.get("fetchq_cnt", 0) for each in owned.values()),
        queued_bytes=sum(each.get("fetchq_size", 0) for each in owned.values()),
        broker_up=any(broker.get("state") == "UP" for broker in stats.get("brokers", {}).values()),
        in_group=group.get("join_state") == "steady",
    )
