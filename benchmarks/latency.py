"""Part 5: from the change feed's timestamp to FHIR, as multiples of one poll interval plus one FHIR round trip."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import httpx
from dicomcast_schemas import DicomChangeEvent

from tests.fakes.processes import eventually

from .bridge import producing, publish
from .peers import kafka
from .result import Row
from .stand_in import stand_in
from .topic import new_line
from .workloads import Shape, events

__all__ = ["measure"]

_POLL_S: Final = 1.0
_FHIR_S: Final = 0.02
_UNIT_S: Final = _POLL_S + _FHIR_S


def measure(*, quick: bool) -> list[Row]:
    """Idle: one instance now and then. Half load: half of what the mapping carries on this machine, in CT slices."""
    with kafka(quick=quick) as bootstrap:
        idle = _line_of(bootstrap, count=6 if quick else 40, per_s=4.0 if quick else 1.7)
        half = _line_of(bootstrap, count=60 if quick else 6_000, per_s=100.0 if quick else 400.0)
    rows = []
    for name, latencies in (("idle", idle), ("at 400 instances a second", half)):
        cuts = statistics.quantiles(latencies, n=100)
        measured = {"p50_s": round(cuts[49], 3), "p99_s": round(cuts[98], 3), "poll_interval_s": _POLL_S}
        rows += [
            Row(
                name=f"latency {name}, p{p}", ratio=cuts[p - 1] / _UNIT_S, unit="× poll + round trip", measured=measured
            )
            for p in (50, 99)
        ]
    return rows


def _line_of(bootstrap: str, *, count: int, per_s: float) -> list[float]:
    """Seconds from the feed to FHIR of each instance, published at that rate."""
    with stand_in("feed") as feed, stand_in("fhir", delay_ms=_FHIR_S * 1000) as fhir:
        line = new_line(bootstrap, fhir)
        env = producing(line, feed, DICOMCAST_FEED__POLL_INTERVAL_S=str(_POLL_S))
        found = events(Shape(modality="CT", studies=max(count // 100, 1), instances=min(count, 100)))
        publish(feed, found[:1])
        with line.producer(env=env) as producer, line.consumer() as consumer:
            eventually(lambda: _instances(fhir) == 1, lambda: producer.text[-1000:] + consumer.text[-1000:], consumer)
            published = _publish_in_time(feed, found[1:], per_s)
            eventually(lambda: _instances(fhir) == len(found), lambda: consumer.text[-1000:], consumer, within_s=120)
            arrivals = httpx.get(_stats(fhir) + "/arrivals", timeout=60).json()["arrivals"]
    return [arrivals[uid] - at_s for uid, at_s in published.items()]


def _publish_in_time(feed: str, found: Sequence[DicomChangeEvent], per_s: float) -> dict[str, float]:
    """Publishes in small batches, at most ten a second; when each instance was published."""
    published: dict[str, float] = {}
    batch = max(int(per_s / 10), 1)
    begun = time.monotonic()
    for first in range(0, len(found), batch):
        time.sleep(max(begun + first / per_s - time.monotonic(), 0))
        part = found[first : first + batch]
        publish(feed, [replace(event, timestamp=datetime.now(UTC)) for event in part])
        published |= dict.fromkeys((event.sop_instance_uid for event in part), time.time())
    return published


def _instances(fhir: str) -> int:
    return int(httpx.get(_stats(fhir), timeout=60).json()["instances"])


def _stats(fhir: str) -> str:
    return fhir.removesuffix("/fhir") + "/stats"
