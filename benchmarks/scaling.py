"""Part 4: what requests in flight, members and a long backlog give, over a FHIR server that answers in 20 ms."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, Final

import httpx

from tests.fakes.processes import Line, Running, eventually

from .peers import kafka
from .result import Row
from .stand_in import stand_in
from .topic import another_group, fill, new_line
from .usage import cpu_of, memory_of, peak_memory_of
from .workloads import Shape, events

__all__ = ["measure"]

_DELAY_MS: Final = 20
_MOST_S: Final = 60.0
_QUIET_S: Final = 0.7
_SHARED_OUT_S: Final = 6.0


def measure(*, quick: bool) -> list[Row]:
    """In flight, members, a hot study, a long backlog."""
    with kafka(quick=quick) as bootstrap, stand_in("fhir", delay_ms=_DELAY_MS) as fhir:
        rows = _in_flight(bootstrap, fhir, quick=quick)
        rows += _members(bootstrap, fhir, quick=quick)
        rows += _hot_study(bootstrap, fhir, quick=quick)
        return rows + _backlog(bootstrap, fhir, quick=quick)


def _in_flight(bootstrap: str, fhir: str, *, quick: bool) -> list[Row]:
    """One study with one instance a request, so that the requests in flight and nothing else set the rate."""
    line = new_line(bootstrap, fhir)
    fill(line, events(Shape(modality="CR", studies=20 if quick else 1_500, instances=1)))
    rates = {
        n: _rate_with(line, fhir, n, seconds=2 if quick else 6) for n in ((1, 4) if quick else (1, 2, 4, 8, 16, 32))
    }
    most = max(n for n in rates if n <= 16)
    return [
        Row(name=f"scaling efficiency, 1 to {most} in flight", ratio=rates[most] / rates[1] / most, unit="of linear",
            reach=">= 0.85", measured={"studies_per_s": rates, "round_trip_ms": _DELAY_MS})
    ]  # fmt: skip


def _rate_with(line: Line, fhir: str, in_flight: int, *, seconds: float) -> float:
    env = {
        "DICOMCAST_CONSUMER__MAX_IN_FLIGHT": str(max(in_flight, 2)),
        "DICOMCAST_CONSUMER__MAX_STUDIES_PER_BUNDLE": "1",
        "DICOMCAST_CONSUMER__MAX_INSTANCES_PER_BUNDLE": "1",
    }
    if in_flight == 1:
        env["DICOMCAST_CONSUMER__MAX_IN_FLIGHT"] = "1"
    return float(_run(another_group(line, env), fhir, members=1, seconds=seconds)["instances_per_s"])


def _members(bootstrap: str, fhir: str, *, quick: bool) -> list[Row]:
    shape = Shape(modality="CR", studies=40 if quick else 60_000, instances=2)
    line = new_line(bootstrap, fhir)
    fill(line, events(shape))
    found = {
        n: _shared(another_group(line, {}), fhir, members=n, seconds=1 if quick else 6)
        for n in ((1, 2) if quick else (1, 2, 4))
    }
    return [
        Row(name=f"{n} members over 12 partitions / 1", ratio=found[n]["instances_per_s"] / found[1]["instances_per_s"],
            unit="× its rate", measured=found[n])
        for n in found if n > 1
    ]  # fmt: skip


def _hot_study(bootstrap: str, fhir: str, *, quick: bool) -> list[Row]:
    shapes = [
        Shape(modality="CT", studies=studies, instances=instances)
        for studies, instances in (((1, 100), (5, 20)) if quick else ((1, 5_000), (20, 250)))
    ]
    found = []
    for shape in shapes:
        line = new_line(bootstrap, fhir)
        fill(line, events(shape))
        found.append(_run(line, fhir, members=1, seconds=_MOST_S, until=shape.count))
    return [
        Row(name="one hot study / 20 studies", ratio=found[0]["instances_per_s"] / found[1]["instances_per_s"],
            unit="× their rate", measured={"hot": found[0], "twenty": found[1]})
    ]  # fmt: skip


def _backlog(bootstrap: str, fhir: str, *, quick: bool) -> list[Row]:
    """A million events wait; what the consumer holds of them while it works, and whether that grows."""
    count, seconds = (2_000, 4) if quick else (1_000_000, 150)
    line = new_line(bootstrap, fhir)
    _fill_long(line, count)
    httpx.post(_stats(fhir), timeout=60)
    samples: list[tuple[float, float, int]] = []
    with line.consumer() as member:
        eventually(lambda: _got(fhir)["instances"] > 0, lambda: member.text[-2000:], member)
        begun = time.monotonic()
        while time.monotonic() - begun < seconds and not (quick and line.caught_up()):
            samples.append((time.monotonic() - begun, memory_of(member.process.pid), _got(fhir)["writes"]))
            time.sleep(1.0)
        peak = peak_memory_of(member.process.pid)
    half = len(samples) // 2 or 1
    first, second = (max(m for _, m, _ in part) for part in (samples[:half], samples[half:] or samples))
    return [
        Row(name=f"memory with {count:,} events waiting", ratio=peak, unit="MiB at most", reach="<= 256",
            measured={"seconds_mib_writes": [(round(s, 1), round(m), w) for s, m, w in samples]}),
        Row(name="memory, second half of that / first", ratio=second / first, unit="×", reach="<= 1.1"),
    ]  # fmt: skip


def _fill_long(line: Line, count: int) -> None:
    """The same 20,000 events of 1,000 studies again and again, as a topic that is replayed holds them."""
    part = events(Shape(modality="CR", studies=1_000 if count > 20_000 else 100, instances=20))
    for first in range(0, count, len(part)):
        fill(line, part[: count - first])


def _shared(line: Line, fhir: str, *, members: int, seconds: float) -> dict[str, Any]:
    """So many members for so many seconds, from when the partitions have been shared out among them."""
    httpx.post(_stats(fhir), timeout=60)
    with ExitStack() as stack:
        running = [stack.enter_context(line.consumer()) for _ in range(members)]
        for member in running:
            member.wait_for("assigned")
        time.sleep(_SHARED_OUT_S if members > 1 else 1.0)
        before, before_cpu, began = _got(fhir)["instances"], _cpu(running), time.monotonic()
        time.sleep(seconds)
        passed, after = time.monotonic() - began, _got(fhir)["instances"]
        return {
            "instances_per_s": round(max(after - before, 1) / passed, 1),
            "instances": after - before,
            "cpu_s": round(_cpu(running) - before_cpu, 2),
            "peak_mib": [round(peak_memory_of(member.process.pid)) for member in running],
        }


def _run(line: Line, fhir: str, *, members: int, seconds: float, until: int | None = None) -> dict[str, Any]:
    """So many members for so many seconds from the first request on, or until all instances have arrived."""
    httpx.post(_stats(fhir), timeout=60)
    with ExitStack() as stack:
        running = [stack.enter_context(line.consumer()) for _ in range(members)]
        for member in running:
            member.wait_for("assigned")
        eventually(lambda: _got(fhir)["requests"] > 0, lambda: running[0].text[-2000:], running[0])
        began = time.monotonic()
        before = _cpu(running)
        while time.monotonic() - began < seconds and not (until and _got(fhir)["instances"] >= until):
            time.sleep(0.1 if until else 0.5)
            if time.time() - _got(fhir)["last_s"] > _QUIET_S and line.caught_up():
                break  # asking Kafka takes CPU from what is measured
        found = _got(fhir)
        passed = max(found["last_s"] - found["first_s"], 1e-3)
        return {
            "instances_per_s": round(found["instances"] / passed, 1),
            "instances": found["instances"],
            "requests": found["requests"],
            "seconds": round(passed, 2),
            "cpu_s": round(_cpu(running) - before, 2),
            "peak_mib": [round(peak_memory_of(member.process.pid)) for member in running],
        }


def _cpu(running: Sequence[Running]) -> float:
    return sum(cpu_of(member.process.pid) for member in running)


def _stats(fhir: str) -> str:
    return fhir.removesuffix("/fhir") + "/stats"


def _got(fhir: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(_stats(fhir), timeout=60).json()
    return found
