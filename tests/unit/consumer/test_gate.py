"""What passes the gate, in which order, and what an attempt's end says of its studies."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
from dicomcast_consumer.breaker import Breaker
from dicomcast_consumer.errors import HeldError, RejectedError, SystemicError
from dicomcast_consumer.gate import Gate
from dicomcast_consumer.rejection_guard import RejectionGuard
from structlog.testing import capture_logs

REFUSED = RejectedError("fhir", "fhir.422", "no", 422)


def gate_of(guard: RejectionGuard) -> Gate:
    return Gate(Breaker(least_s=0.0, most_s=0.0), guard)


async def refuse(gate: Gate, *lanes: bytes, held: HeldError | None = None) -> None:
    async with gate.attempt(lanes, held=held):
        raise REFUSED


async def accept(gate: Gate, *lanes: bytes) -> None:
    async with gate.attempt(lanes):
        pass


@contextlib.asynccontextmanager
async def refused_probe(gate: Gate) -> AsyncIterator[None]:
    """For the block it is under way, so that others wait."""
    with contextlib.suppress(HeldError):
        async with gate.attempt([b"probe"]):
            yield
            raise REFUSED


async def refused_one_by_one(gate: Gate, lanes: Sequence[bytes]) -> HeldError:
    """How the last of them left; the others were their own fault."""
    for lane in lanes[:-1]:
        with pytest.raises(RejectedError):
            await refuse(gate, lane)
    with pytest.raises(HeldError) as held:
        await refuse(gate, lanes[-1])
    return held.value


def test_each_study_of_a_bundle_that_was_accepted_counts() -> None:
    """Bug put back: one of 25 counts, while each that is refused does."""

    async def scenario() -> None:
        guard = RejectionGuard(studies=20, least=5)
        gate = gate_of(guard)
        await accept(gate, *(b"good %d" % n for n in range(10)))
        for n in range(10):
            with pytest.raises(RejectedError):
                await refuse(gate, b"bad %d" % n)
        assert not guard.suspicious

    asyncio.run(scenario())


def test_a_bundle_that_was_refused_says_nothing_of_its_studies() -> None:
    async def scenario() -> None:
        guard = RejectionGuard(studies=20, least=5)
        gate = gate_of(guard)
        for n in range(20):
            with pytest.raises(RejectedError):
                await refuse(gate, b"%d" % n, b"other %d" % n)
        assert guard.verdicts == (0, 0)
        await refused_one_by_one(gate, [b"%d" % n for n in range(5)])
        with pytest.raises(RejectedError):  # to be taken apart, but that opens nothing
            await refuse(gate, b"5", b"6")
        assert gate.closed_by is not None

    asyncio.run(scenario())


def test_who_was_refused_lets_the_others_go_first() -> None:
    """Bug put back: what was refused already is tried again and again, and nothing else."""

    async def scenario() -> None:
        gate = gate_of(RejectionGuard(studies=20, least=5))
        held = await refused_one_by_one(gate, [b"%d" % n for n in range(5)])
        order: list[str] = []

        async def one(name: str, error: HeldError | None = None) -> None:
            async with gate.attempt([name.encode()], held=error):
                order.append(name)
                await asyncio.sleep(0)

        async with refused_probe(gate):
            waiting = [asyncio.create_task(one("held", held))]
            await asyncio.sleep(0.01)
            waiting += [asyncio.create_task(one(f"new {n}")) for n in range(3)]
            await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)
        assert order == ["new 0", "new 1", "new 2", "held"]

    asyncio.run(scenario())


def test_one_that_goes_away_lets_who_was_refused_try() -> None:
    async def scenario() -> None:
        gate = gate_of(RejectionGuard(studies=20, least=5))
        held = await refused_one_by_one(gate, [b"%d" % n for n in range(5)])
        async with refused_probe(gate):
            last = asyncio.create_task(refuse(gate, b"4", held=held))
            new = asyncio.create_task(accept(gate, b"new"))
            await asyncio.sleep(0.01)
        new.cancel()
        with pytest.raises(HeldError):
            await asyncio.wait_for(last, 10)

    asyncio.run(scenario())


def test_who_is_refused_again_is_to_blame_once_others_went_through() -> None:
    async def scenario() -> None:
        gate = gate_of(RejectionGuard(studies=20, least=5))
        held = await refused_one_by_one(gate, [b"%d" % n for n in range(5)])
        with pytest.raises(HeldError):
            await refuse(gate, b"4", held=held)
        await accept(gate, b"5")
        with pytest.raises(RejectedError):
            await refuse(gate, b"4", held=held)

    asyncio.run(scenario())


def test_a_probe_that_is_cancelled_leaves_the_reason_as_it_was() -> None:
    """Bug put back: `breaker.opened reason=`, and the page and the probes did not say any more why."""

    async def scenario() -> None:
        gate = gate_of(RejectionGuard())
        with contextlib.suppress(SystemicError):
            async with gate.attempt([b"1"]):
                raise SystemicError("403")
        with capture_logs() as logs, contextlib.suppress(asyncio.CancelledError):
            async with gate.attempt([b"2"]):
                raise asyncio.CancelledError
        assert (gate.closed_by, logs) == ("403", [])

    asyncio.run(scenario())
