"""What a process used: CPU seconds and memory, from /proc."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "cpu_of", "memory_of", "peak_memory_of", "slices"]

_TICKS = os.sysconf("SC_CLK_TCK")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of wall time and of CPU."""

    wall_s: float
    cpu_s: float


def cpu_of(pid: int) -> float:
    """CPU seconds of the process and its threads so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(pid: int) -> float:
    """MiB in memory now."""
    return _status(pid, "VmRSS")


def peak_memory_of(pid: int) -> float:
    """MiB in memory at most so far."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(name))) * 1024 / MIB


def slices(*works: "tuple[str, object]", rounds: int, calls: int) -> dict[str, float]:
    """Seconds of CPU per call of each named function: the least of `rounds` slices, in which they take turns.

    CPU time of this thread, and the least of many short slices in turn: what else the machine does hardly counts.
    """
    best = {name: float("inf") for name, _ in works}
    for _ in range(rounds):
        for name, work in works:
            assert callable(work)
            begun = time.thread_time()
            for _ in range(calls):
                work()
            best[name] = min(best[name], (time.thread_time() - begun) / calls)
    return best
