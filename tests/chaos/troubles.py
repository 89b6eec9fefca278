"""What can go wrong, and does: each trouble has a target, begins, lasts and ends."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from tests.chaos.slots import Slot
from tests.services.server import Server

__all__ = ["Cast", "Trouble", "next_trouble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Whom trouble may meet."""

    members: tuple[Slot, ...]
    guest: Slot
    """The member that joins and leaves."""
    producer: Slot
    rival: Slot
    """The producer that takes over."""
    fhir: Slot
    fhir_url: str
    """Of the process; without /fhir."""
    dicom: Slot
    dicom_url: str
    kafka: Server
    kafka_lock: threading.Lock


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One trouble; it is left out when somebody else troubles its target."""

    name: str
    lock: threading.Lock
    begin: Callable[[], None]
    end: Callable[[], None]
    lasts_s: float

    def run(self, ending: threading.Event) -> bool:
        """Begins, waits (less when everything ends) and ends; False when it was left out."""
        with _taken(self.lock) as free:
            if free:
                self.begin()
                ending.wait(self.lasts_s)
                self.end()
            return free


@contextmanager
def _taken(lock: threading.Lock) -> Iterator[bool]:
    free = lock.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            lock.release()


def next_trouble(cast: Cast, chance: random.Random) -> Trouble:
    """What goes wrong next."""
    kinds: dict[Callable[[Cast, random.Random], Trouble], int] = {
        _member_killed: 18,
        _member_frozen: 12,
        _member_ended: 8,
        _guest: 8,
        _producer_killed: 8,
        _producer_frozen: 4,
        _rival: 4,
        _fhir_errors: 18,
        _fhir_away: 7,
        _fhir_frozen: 5,
        _dicom_errors: 5,
        _dicom_away: 4,
        _dicom_frozen: 3,
        _kafka_restarted: 3,
        _kafka_killed: 3,
        _kafka_frozen: 4,
    }
    (kind,) = chance.choices(list(kinds), list(kinds.values()))
    return kind(cast, chance)


def _slot_trouble(name: str, slot: Slot, begin: Callable[[], None], end: Callable[[], None], lasts_s: float) -> Trouble:
    return Trouble(name=name, lock=slot.lock, begin=begin, end=end, lasts_s=lasts_s)


def _member_killed(cast: Cast, chance: random.Random) -> Trouble:
    slot = chance.choice(cast.members)
    return _slot_trouble("member killed", slot, slot.kill, slot.start_ready, chance.uniform(0, 4))


def _member_frozen(cast: Cast, chance: random.Random) -> Trouble:
    """Mostly past its session of 6 s."""
    slot = chance.choice(cast.members)
    return _slot_trouble("member frozen", slot, slot.freeze, slot.thaw, chance.uniform(2, 14))


def _member_ended(cast: Cast, chance: random.Random) -> Trouble:
    slot = chance.choice(cast.members)
    return _slot_trouble("member ended", slot, slot.terminate, slot.start_ready, chance.uniform(0, 4))


def _guest(cast: Cast, chance: random.Random) -> Trouble:
    slot = cast.guest
    return _slot_trouble("member joined and left", slot, slot.start_ready, slot.terminate, chance.uniform(3, 15))


def _producer_killed(cast: Cast, chance: random.Random) -> Trouble:
    slot = cast.producer
    return _slot_trouble("producer killed", slot, slot.kill, slot.start_ready, chance.uniform(0, 3))


def _producer_frozen(cast: Cast, chance: random.Random) -> Trouble:
    """Sometimes past its transaction's timeout of 15 s."""
    slot = cast.producer
    return _slot_trouble("producer frozen", slot, slot.freeze, slot.thaw, chance.uniform(1, 20))


def _rival(cast: Cast, chance: random.Random) -> Trouble:
    slot = cast.rival
    return _slot_trouble("producer taken over", slot, slot.start_ready, slot.terminate, chance.uniform(3, 10))


def _fhir_errors(cast: Cast, chance: random.Random) -> Trouble:
    times = chance.randint(1, 20)
    fault = chance.choice(
        [
            {"effect": "answer", "status": 503, "times": times * 3},
            {"effect": "answer", "status": 500, "times": times},
            {"effect": "answer", "status": 429, "times": times * 2, "retry_after": 1},
            {"effect": "answer", "status": 409, "times": times, "only_writes": True},
            {"effect": "answer", "status": 412, "times": times, "only_writes": True},
            {"effect": "hang", "times": times},
            {"effect": "drop", "times": times},
            {"effect": "drop_after_write", "times": times},
            {"effect": "drop_after_write", "times": times, "only_writes": True},
        ]
    )
    return _peer_errors("FHIR errors", cast.fhir, cast.fhir_url, fault, chance.uniform(1, 8))


def _dicom_errors(cast: Cast, chance: random.Random) -> Trouble:
    times = chance.randint(1, 10)
    fault = chance.choice(
        [
            {"effect": "answer", "status": 503, "times": times},
            {"effect": "answer", "status": 500, "times": times},
            {"effect": "answer", "status": 200, "times": times, "path_part": "changefeed", "body": "<html>"},
            {"effect": "hang", "times": times, "hang_s": 30},
        ]
    )
    return _peer_errors("DICOM errors", cast.dicom, cast.dicom_url, fault, chance.uniform(1, 6))


def _peer_errors(name: str, slot: Slot, url: str, fault: dict[str, object], lasts_s: float) -> Trouble:
    def ask(asked: dict[str, object]) -> None:
        httpx.post(f"{url}/chaos/faults", json=asked, timeout=30).raise_for_status()

    full_name = f"{name} ({fault.get('status', fault['effect'])})"
    return _slot_trouble(full_name, slot, lambda: ask(fault), lambda: ask({"effect": "clear"}), lasts_s)


def _fhir_away(cast: Cast, chance: random.Random) -> Trouble:
    return _away("FHIR killed", cast.fhir, chance.uniform(0, 10))


def _fhir_frozen(cast: Cast, chance: random.Random) -> Trouble:
    slot = cast.fhir
    return _slot_trouble("FHIR frozen", slot, slot.freeze, slot.thaw, chance.uniform(1, 12))


def _dicom_away(cast: Cast, chance: random.Random) -> Trouble:
    return _away("DICOM killed", cast.dicom, chance.uniform(0, 8))


def _dicom_frozen(cast: Cast, chance: random.Random) -> Trouble:
    slot = cast.dicom
    return _slot_trouble("DICOM frozen", slot, slot.freeze, slot.thaw, chance.uniform(1, 8))


def _away(name: str, slot: Slot, lasts_s: float) -> Trouble:
    return _slot_trouble(name, slot, slot.kill, slot.start_ready, lasts_s)


def _kafka_restarted(cast: Cast, chance: random.Random) -> Trouble:
    return _kafka("Kafka restarted", cast, cast.kafka.stop, cast.kafka.start, chance.uniform(0, 6))


def _kafka_killed(cast: Cast, chance: random.Random) -> Trouble:
    return _kafka("Kafka killed", cast, cast.kafka.kill, cast.kafka.start, chance.uniform(0, 6))


def _kafka_frozen(cast: Cast, chance: random.Random) -> Trouble:
    return _kafka("Kafka frozen", cast, cast.kafka.freeze, cast.kafka.thaw, chance.uniform(1, 12))


def _kafka(name: str, cast: Cast, begin: Callable[[], None], end: Callable[[], None], lasts_s: float) -> Trouble:
    return Trouble(name=name, lock=cast.kafka_lock, begin=begin, end=end, lasts_s=lasts_s)
