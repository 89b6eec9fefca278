"""Rounds of two contestants, one right after the other: what the machine does meanwhile is done to both.

The median of the rounds' ratios counts, so that neither more tries nor a bad moment decide.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

__all__ = ["best", "middle", "rate", "ratio", "rounds_of"]

S = TypeVar("S")
Measured = dict[str, Any]


def rate(measured: Measured) -> float:
    """Instances per second."""
    return float(measured["instances_per_s"])


def middle(rounds: Sequence[Measured]) -> Measured:
    """The round of the median rate."""
    return sorted(rounds, key=rate)[len(rounds) // 2]


def ratio(rounds: Sequence[tuple[Measured, Measured]]) -> float:
    """The first's rate over the second's: the median of the rounds."""
    return statistics.median(rate(one) / rate(other) for one, other in rounds)


def best(settings: Sequence[S], measure: Callable[[S], Measured]) -> S:
    """The setting with which the rate is highest, each tried once."""
    return max(settings, key=lambda setting: rate(measure(setting)))


def rounds_of(
    count: int, one: Callable[[], Measured], other: Callable[[], Measured]
) -> list[tuple[Measured, Measured]]:
    """So many rounds; who begins alternates."""
    found: list[tuple[Measured, Measured]] = []
    for number in range(count):
        if number % 2:
            second = other()
            found.append((one(), second))
        else:
            found.append((one(), other()))
    return found
