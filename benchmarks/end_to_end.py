"""Part 1: a backlog on a real Kafka into HAPI FHIR, beside the original's algorithm and ready-made bundles.

All go through the same counting proxy to the same server, warmed by all of them, in turn. Rates are of the time from
the first search or transaction to the last answer. The size of ready-made bundles that is best is found first, then
measured in rounds beside ours. The original is measured on a stated part: one whole study of the CT workload, for it
slows down as a study grows.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from dicomcast_schemas import DicomChangeEvent

from tests.fakes.processes import Line, eventually

from .limit import bundles, make_endpoint, send
from .original import Original
from .peers import hapi, kafka
from .proxy import Proxy, counting_proxy
from .result import Row
from .rounds import best, middle, rate, ratio, rounds_of
from .topic import another_group, fill, new_line
from .usage import cpu_of, peak_memory_of
from .workloads import Shape, deletions, events, mixed

__all__ = ["measure"]

_ROUNDS: Final = 5
_WARM_ROUNDS: Final = 6
_QUIET_S: Final = 0.7
_PART: Final = 150
"""Events of which the original is measured."""
_LIMIT_SIZES: Final = {"CT": (1, 2, 5), "CR": (10, 25, 50)}


@dataclass(frozen=True, slots=True)
class _Peers:
    kafka: str
    proxy: Proxy
    hapi_pid: int | None
    endpoint: str


def measure(*, quick: bool) -> list[Row]:
    """All workloads."""
    with _peers(quick=quick) as peers:
        _warm(peers, quick=quick)
        ct = Shape(modality="CT", studies=2 if quick else 20, instances=20 if quick else 500)
        cr = Shape(modality="CR", studies=10 if quick else 500, instances=2)
        rows = _backlog("CT", ct, peers, original=4 if quick else ct.instances, quick=quick)
        rows += _backlog("CR", cr, peers, original=4 if quick else 100, quick=quick)
        rows += _mixed(peers, quick=quick)
        rows += _deletions(peers, quick=quick)
        rows += _trickle(peers, quick=quick)
    return rows


@contextmanager
def _peers(*, quick: bool) -> Iterator[_Peers]:
    with kafka(quick=quick) as bootstrap, hapi(quick=quick) as (url, pid), counting_proxy(url) as proxy:
        yield _Peers(bootstrap, proxy, pid, make_endpoint(proxy.url))


def _warm(peers: _Peers, *, quick: bool) -> None:
    """Lets the server's compiler do its work, by everything that is measured later."""
    ct = Shape(modality="CT", studies=2 if quick else 6, instances=10 if quick else 500)
    cr = Shape(modality="CR", studies=4 if quick else 100, instances=2)
    for _ in range(1 if quick else _WARM_ROUNDS):
        for shape in (ct, cr):
            _limit(peers, shape, (5, 2))
            _new(peers, shape)
        _original(peers, events(ct.anew())[: 2 if quick else 30])


def _backlog(name: str, shape: Shape, peers: _Peers, *, original: int, quick: bool) -> list[Row]:
    sizes = [(studies, in_flight) for studies in _LIMIT_SIZES[name] for in_flight in (1, 2)]
    size = best(sizes[: 1 if quick else None], lambda size: _limit(peers, shape, size))
    rounds = rounds_of(1 if quick else _ROUNDS, lambda: _new(peers, shape), lambda: _limit(peers, shape, size))
    ours = middle([one for one, _ in rounds])
    line = _line(peers, events(shape.anew()))
    _consumed(peers, line, shape.count)
    replay = _consumed(peers, another_group(line), shape.count)
    part = events(shape.anew())[:original]
    theirs = _original(peers, part)
    theirs_again = _original(peers, part[: max(original // 4, 1)])
    return [
        Row(name=f"{name} backlog / the original", ratio=rate(ours) / rate(theirs), unit="× its rate",
            reach=f">= {200 if name == 'CT' else 12}", measured={"ours": ours, "original": theirs}),
        Row(name=f"{name} backlog / ready-made bundles", ratio=ratio(rounds), unit="of the limit",
            reach=">= 0.7", measured={"rounds": rounds}),
        Row(name=f"{name} backlog, FHIR requests per instance", ratio=ours["requests"] / shape.count, unit="requests",
            reach=f"<= {0.01 if name == 'CT' else 0.1}", measured={}),
        Row(name=f"{name} replay over an unchanged server / the original", ratio=rate(replay) / rate(theirs_again),
            unit="× its rate", reach=">= 10", measured={"ours": replay, "original": theirs_again}),
        Row(name=f"{name} replay, writes", ratio=replay["writes"], unit="writes", reach="<= 0", measured={}),
    ]  # fmt: skip


def _mixed(peers: _Peers, *, quick: bool) -> list[Row]:
    studies = 6 if quick else 60
    count = len(mixed(studies))
    size = best((1,) if quick else (2, 5, 10), lambda size: _sent(peers, mixed(studies), (size, 2)))
    rounds = rounds_of(
        1 if quick else _ROUNDS,
        lambda: _consumed(peers, _line(peers, mixed(studies)), count),
        lambda: _sent(peers, mixed(studies), (size, 2)),
    )
    ours = middle([one for one, _ in rounds])
    theirs = _original(peers, mixed(studies)[: 4 if quick else _PART])
    return [
        Row(name="mixed backlog / the original", ratio=rate(ours) / rate(theirs), unit="× its rate",
            measured={"ours": ours, "original": theirs}),
        Row(name="mixed backlog / ready-made bundles", ratio=ratio(rounds), unit="of the limit", reach=">= 0.7",
            measured={"rounds": rounds}),
    ]  # fmt: skip


def _deletions(peers: _Peers, *, quick: bool) -> list[Row]:
    shapes = [Shape(modality="CT", studies=8 if quick else 100, instances=20) for _ in range(2)]
    for shape in shapes:
        send(peers.proxy.url, bundles(events(shape), studies=25, endpoint=peers.endpoint), in_flight=1)
    gone = deletions(shapes[0], first=shapes[0].count + 1)
    ours = _consumed(peers, _line(peers, gone), len(gone))
    theirs = _original(peers, deletions(shapes[1], first=1)[: 3 if quick else _PART])
    return [
        Row(name="delete-heavy backlog / the original", ratio=rate(ours) / rate(theirs), unit="× its rate",
            measured={"ours": ours, "original": theirs})
    ]  # fmt: skip


def _trickle(peers: _Peers, *, quick: bool) -> list[Row]:
    """One instance at a time into open studies: the next is produced when the one before has been written."""
    count = 3 if quick else 150
    shape = Shape(modality="CT", studies=min(count, 10), instances=max(count // 10, 1), interleaved=True)
    found = events(shape)
    line = new_line(peers.kafka, peers.proxy.url)
    with line.consumer() as member:
        member.wait_for("assigned")
        peers.proxy.clear()
        for number, event in enumerate(found, 1):
            fill(line, [event])
            eventually(lambda: peers.proxy.counts().writes >= number, running=member)  # noqa: B023
        ours = _counted(peers, len(found))
    theirs = _original(peers, events(shape.anew()))
    return [
        Row(name="trickle, requests per instance / the original", ratio=ours["requests"] / theirs["requests"],
            unit="of its requests", measured={"ours": ours, "original": theirs})
    ]  # fmt: skip


def _line(peers: _Peers, found: Sequence[DicomChangeEvent]) -> Line:
    line = new_line(peers.kafka, peers.proxy.url)
    fill(line, found)
    return line


def _consumed(peers: _Peers, line: Line, count: int) -> dict[str, Any]:
    """The consumer as a user runs it, from its start to the last offset's commit."""
    peers.proxy.clear()
    with line.consumer() as member:
        begun_cpu: float | None = None
        pid = member.process.pid

        def ended() -> bool:
            nonlocal begun_cpu
            counts = peers.proxy.counts()
            if begun_cpu is None and counts.requests:
                begun_cpu = cpu_of(pid)
            quiet = counts.requests and time.monotonic() - counts.last_s > _QUIET_S
            return bool(quiet) and line.caught_up()  # asking Kafka takes CPU from what is measured

        eventually(ended, lambda: member.text[-2000:], member, within_s=240)
        measured = _counted(peers, count)
        measured["cpu_s"] = round(cpu_of(pid) - (begun_cpu or 0.0), 2)
        measured["peak_mib"] = round(peak_memory_of(pid))
    return measured


def _original(peers: _Peers, part: Sequence[DicomChangeEvent]) -> dict[str, Any]:
    original = Original(peers.proxy.url)
    try:
        return _measured(peers, lambda: original.apply(part), len(part))
    finally:
        original.close()


def _new(peers: _Peers, shape: Shape) -> dict[str, Any]:
    return _consumed(peers, _line(peers, events(shape.anew())), shape.count)


def _limit(peers: _Peers, shape: Shape, size: tuple[int, int]) -> dict[str, Any]:
    return _sent(peers, events(shape.anew()), size)


def _sent(peers: _Peers, found: Sequence[DicomChangeEvent], size: tuple[int, int]) -> dict[str, Any]:
    """As ready-made bundles of so many studies, so many in flight."""
    studies, in_flight = size
    ready = bundles(found, studies=studies, endpoint=peers.endpoint)
    sent = _measured(peers, lambda: send(peers.proxy.url, ready, in_flight=in_flight), len(found))
    return {"studies_per_bundle": studies, "in_flight": in_flight, **sent}


def _measured(peers: _Peers, work: Any, count: int) -> dict[str, Any]:
    peers.proxy.clear()
    begun_cpu = time.process_time()
    work()
    return {**_counted(peers, count), "cpu_s": round(time.process_time() - begun_cpu, 2)}


def _counted(peers: _Peers, count: int) -> dict[str, Any]:
    counts = peers.proxy.counts()
    seconds = max(counts.last_s - counts.first_s, 1e-3)
    return {
        "instances": count,
        "instances_per_s": round(count / seconds, 1),
        "seconds": round(seconds, 2),
        "requests": counts.requests,
        "reads": counts.reads,
        "writes": counts.writes,
        "bytes": counts.sent_bytes + counts.received_bytes,
        "server_cpu_s": round(cpu_of(peers.hapi_pid), 2) if peers.hapi_pid else None,
    }
