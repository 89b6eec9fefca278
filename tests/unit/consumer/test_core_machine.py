"""The pure core of a member under a state machine: lanes, offsets, folding and room, between a broker and a FHIR server
of a few lines each, with everything that may happen to an assignment, in any order.

A run in flight outlives its assignment, as a request on the wire does: it then writes only if nobody else wrote to its
study since it was read (If-Match), and its outcome must not count.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from dicomcast_consumer.assignments import Assignments
from dicomcast_consumer.lanes import Run
from dicomcast_consumer.mapping import Kind, fold
from dicomcast_consumer.record import Record
from dicomcast_consumer.room import Bounds, Room, Rooms
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.consumer.core_events import (
    GAP,
    PARTITIONS,
    Event,
    Log,
    change_of,
    event_of,
    partitions,
    productions,
    record,
)

MAX_SPAN = 8
BOUNDS = Bounds(max_records=6, max_bytes=2_400, min_bytes=700)
FETCH = 3


@dataclass(slots=True)
class Stay:
    """One assignment, as the Kafka thread and this model see it."""

    epoch: int
    begun: int
    position: int
    room: Room
    received: list[int] = field(default_factory=list)
    unfinished: set[int] = field(default_factory=set)
    picked: dict[bytes, int] = field(default_factory=dict)
    stop_at: float = math.inf
    committable: int = -1


@dataclass(slots=True, eq=False)
class Flight:
    """A run on its way, and the version of its study that it has read."""

    run: Run
    version: int
    written: bool = False


class Core(RuleBasedStateMachine):
    """One member; while a partition is not its own, others may go on there."""

    @initialize(strict=st.sampled_from([False, False, True]), productions=productions)
    def begin(self, strict: bool, productions: list[tuple[int, int, Event, int]]) -> None:
        self.strict = strict  # max_in_flight=1
        self.logs = {p: Log() for p in PARTITIONS}
        self.fhir: dict[bytes, set[str]] = {}
        self.versions: dict[bytes, int] = {}
        self.settled: set[tuple[int, int]] = set()
        self.epochs = 0
        self.restart()
        self.produce(productions)
        for partition in PARTITIONS:
            self.assign(partition)

    def restart(self) -> None:
        self.core = Assignments(max_span=MAX_SPAN)
        self.stays: dict[int, Stay] = {}
        self.rooms = Rooms(BOUNDS)
        self.flights: list[Flight] = []
        self.draining: list[dict[int, int]] = []
        self.late: list[dict[int, int]] = []

    # --- the broker ---

    @rule(productions=productions)
    def produce(self, productions: list[tuple[int, int, Event, int]]) -> None:
        for partition, study, event, gap in productions:
            log = self.logs[partition]
            log.records.append(record(partition, log.end, study, event))
            log.end += 1 + gap

    @rule(partition=partitions)
    def assign(self, partition: int) -> None:
        if partition in self.stays or any(partition in epochs for epochs in self.draining):
            return
        self.epochs += 1
        begun = self.logs[partition].committed
        self.stays[partition] = Stay(self.epochs, begun, begun, self.rooms.open())
        self.core.assign({partition: self.epochs})

    def bytes_in_memory(self) -> int:
        waiting = ((log, self.stays[p].unfinished) for p, log in self.logs.items() if p in self.stays)
        return sum(one.size for log, offsets in waiting for one in log.records if one.offset in offsets)

    def leave(self, partition: int) -> bool:
        stay = self.stays.pop(partition, None)
        if stay is not None:
            stay.room.leave()
        return stay is not None

    @rule(partition=partitions)
    def receive(self, partition: int) -> None:
        """What a poll brings, unless the partition is paused; then the position moves on at most over markers."""
        stay, log = self.stays.get(partition), self.logs[partition]
        if stay is None or stay.room.closed or partition in self.core.held:
            return
        waiting = [one for one in log.records if one.offset >= stay.position]
        taken, rest = waiting[:FETCH], waiting[FETCH:]
        stay.position = rest[0].offset if rest else log.end
        stay.received += [one.offset for one in taken]
        stay.unfinished |= {one.offset for one in taken}
        stay.room.take(records=len(taken), size=sum(one.size for one in taken))
        self.core.receive(partition, taken, position=stay.position)

    @rule(partition=partitions)
    def revoke(self, partition: int) -> None:
        self.pick(3, 4)  # so that it often finds something in flight
        if self.leave(partition):
            self.draining.append(self.core.revoke([partition]))
            self.drain()

    @rule(partition=partitions, again=st.booleans(), lands=st.booleans())
    def lose(self, partition: int, again: bool, lands: bool) -> None:
        """Often the partition comes back at once, while what was in flight still is."""
        self.pick(3, 4)
        if self.leave(partition):
            self.core.lose([partition])
            if again:
                self.assign(partition)
                self.receive(partition)
            for flight in [f for f in self.flights if lands and not self.core.owns(f.run)]:
                self.land(flight, acknowledged=True)

    @rule()
    def give_up_draining(self) -> None:
        """The Kafka thread's deadline: the partition goes without a last commit."""
        self.late += self.draining
        self.draining = []

    @rule(partition=partitions, count=st.integers(1, 5))
    def another_owner(self, partition: int, count: int) -> None:
        """While the partition is not ours, another member applies records and commits."""
        log = self.logs[partition]
        if partition in self.stays or any(partition in epochs for epochs in self.draining):
            return
        for one in [one for one in log.records if one.offset >= log.committed][:count]:
            self.write([one])
            self.settled.add((partition, one.offset))
            log.committed = one.offset + 1

    @rule(chance=st.integers(0, 4))
    def crash(self, chance: int) -> None:
        if chance == 4:
            self.restart()

    # --- the member ---

    @rule(max_runs=st.integers(1, 3), max_records=st.integers(1, 4))
    def pick(self, max_runs: int, max_records: int) -> None:
        if not self.strict:
            runs = self.core.pick(max_runs=max_runs, max_records=max_records, max_bytes=10**6)
        elif not self.flights:
            runs = self.core.pick_in_order(max_records=max_records, max_bytes=10**6)
        else:
            return
        for run in runs:
            self.check_order(run)
            self.flights.append(Flight(run, self.versions.get(run.lane, 0)))

    def check_order(self, run: Run) -> None:
        """A run is the study's next records; in strict order the partition's next records."""
        stay = self.stays[run.partition]
        assert run.epoch == stay.epoch
        assert run.lane not in {flight.run.lane for flight in self.flights}
        offsets = [one.offset for one in run.records]
        after = max(stay.picked.values(), default=-1) if self.strict else stay.picked.get(run.lane, -1)
        following = [
            one.offset
            for one in self.logs[run.partition].records
            if one.offset in stay.received and one.offset > after and (self.strict or one.lane == run.lane)
        ]
        assert offsets == following[: len(offsets)]
        assert offsets[-1] < stay.stop_at
        stay.picked[run.lane] = offsets[-1]

    @precondition(lambda self: self.flights)
    @rule(data=st.data(), acknowledged=st.booleans())
    def finish(self, data: st.DataObject, acknowledged: bool) -> None:
        """A write is answered. What was rejected needs the broker's acknowledgement of its letter, too."""
        self.land(data.draw(st.sampled_from(self.flights)), acknowledged)

    def land(self, flight: Flight, acknowledged: bool) -> None:
        if not flight.written:
            if flight.version != self.versions.get(flight.run.lane, 0):
                self.conflict(flight)
                return
            self.write(flight.run.records)
            flight.written = True
            flight.version = self.versions[flight.run.lane]
        if acknowledged or not any(event_of(one).bad for one in flight.run.records):
            self.settled |= {(flight.run.partition, one.offset) for one in flight.run.records}
            self.end(flight, finished=True)

    @precondition(lambda self: any(self.core.owns(flight.run) and not flight.written for flight in self.flights))
    @rule(data=st.data(), chance=st.integers(0, 3))
    def stop(self, data: st.DataObject, chance: int) -> None:
        """A run meets a record that is not for this member. Nothing of it was written."""
        if chance:
            return
        flights = [flight for flight in self.flights if self.core.owns(flight.run) and not flight.written]
        flight = data.draw(st.sampled_from(flights))
        run, stay = flight.run, self.stays[flight.run.partition]
        offset = data.draw(st.sampled_from([one.offset for one in run.records]))
        assert self.core.stop(run.partition, offset) == (offset < stay.stop_at)
        stay.stop_at = min(stay.stop_at, offset)
        stay.picked[run.lane] = run.records[0].offset - 1
        self.end(flight, finished=False)

    def conflict(self, flight: Flight) -> None:
        """Read again, if the partition can still be proven to be ours; else the task ends."""
        if self.core.owns(flight.run):
            flight.version = self.versions[flight.run.lane]
        else:
            self.end(flight, finished=False)

    @precondition(lambda self: self.flights)
    @rule(data=st.data())
    def cut(self, data: st.DataObject) -> None:
        """A task of an assignment that is over ends without a write."""
        flight = data.draw(st.sampled_from(self.flights))
        if not self.core.owns(flight.run):
            self.end(flight, finished=False)

    def end(self, flight: Flight, *, finished: bool) -> None:
        run, before = flight.run, self.core.committable()
        self.flights.remove(flight)
        owned, draining = self.core.owns(run), any(run.epoch in e.values() for e in self.pending())
        counted = self.core.end(run, finished=finished)
        assert counted == (finished and (owned or draining))
        if counted and owned:
            stay = self.stays[run.partition]
            stay.unfinished -= {one.offset for one in run.records}
            stay.room.give_back(records=len(run.records), size=run.size)
        if not owned:
            assert self.core.committable() == before  # a late completion moves nothing
        self.drain()

    def pending(self) -> Iterator[dict[int, int]]:
        yield from self.draining
        yield from self.late

    def drain(self) -> None:
        for epochs in list(self.pending()):
            offsets = self.core.drained(epochs)
            busy = any(flight.run.epoch in epochs.values() for flight in self.flights)
            assert (offsets is None) == busy
            if offsets is not None and epochs in self.draining:
                self.draining.remove(epochs)
                self.commit(offsets)
            elif offsets is not None:
                self.late.remove(epochs)  # nobody waits for it any more

    @rule()
    def commit_now(self) -> None:
        offsets = self.core.committable()
        assert set(offsets) <= set(self.stays)
        self.commit(offsets)

    def commit(self, offsets: dict[int, int]) -> None:
        """G3, at the broker: everything before a committed offset is in FHIR or an acknowledged letter."""
        for partition, offset in offsets.items():
            self.logs[partition].committed = offset
            before = {(partition, one.offset) for one in self.logs[partition].records if one.offset < offset}
            assert before <= self.settled

    # --- the FHIR server ---

    def write(self, records: "list[Record] | tuple[Record, ...]") -> None:
        study = self.fhir.setdefault(records[0].lane, set())
        for run in fold(change_of(one) for one in records if not event_of(one).bad):
            (study.add if run.last.kind is Kind.UPSERT else study.discard)(run.last.sop_instance_uid)
        self.versions[records[0].lane] = self.versions.get(records[0].lane, 0) + 1

    # --- what always holds ---

    @invariant()
    def commits_stay_behind_and_never_fall(self) -> None:
        offsets = self.core.committable() if hasattr(self, "core") else {}
        for partition, offset in offsets.items():
            stay = self.stays[partition]
            assert offset <= min(stay.unfinished, default=math.inf)
            assert stay.committable <= offset <= stay.position
            stay.committable = offset

    @invariant()
    def memory_is_bounded(self) -> None:
        for stay in self.stays.values() if hasattr(self, "stays") else ():
            assert len(stay.unfinished) < BOUNDS.max_records + FETCH
            span = max(stay.received, default=0) - min(stay.unfinished, default=math.inf)
            assert span <= MAX_SPAN + FETCH * (GAP + 1)
        if hasattr(self, "stays"):
            polled = FETCH * max((one.size for log in self.logs.values() for one in log.records), default=0)
            assert self.bytes_in_memory() < BOUNDS.max_bytes + len(PARTITIONS) * (BOUNDS.min_bytes + polled)

    @invariant()
    def one_run_of_a_study_is_in_flight(self) -> None:
        lanes = [flight.run.lane for flight in self.flights] if hasattr(self, "flights") else []
        assert len(lanes) == len(set(lanes))

    def teardown(self) -> None:
        """Liveness: the faults stop, and everything is applied, committed and let go of."""
        if not hasattr(self, "core"):
            return
        for partition in PARTITIONS:
            for flight in [f for f in self.flights if not self.core.owns(f.run)]:
                self.land(flight, acknowledged=True)
            self.assign(partition)
        for partition, stop_at in [(p, stay.stop_at) for p, stay in self.stays.items() if stay.stop_at < math.inf]:
            self.go_on(but=[])
            assert self.core.stands(partition)
            assert self.core.committable()[partition] == stop_at  # all that stands before it is applied
            self.commit_now()
            self.lose(partition, again=True, lands=True)  # a member that knows the record
        if not self.strict:
            self.go_on(but=self.flights[:1])  # one write that is never answered: the others go on, within the bounds
        self.go_on(but=[])
        self.commit_now()
        assert self.core.idle
        assert {p: log.committed for p, log in self.logs.items()} == {p: log.end for p, log in self.logs.items()}
        wanted: dict[bytes, set[str]] = {}
        for one in (one for log in self.logs.values() for one in log.records if not event_of(one).bad):
            event, study = event_of(one), wanted.setdefault(one.lane, set())
            {Kind.UPSERT: study.add, Kind.REMOVE: study.discard}.get(event.kind, len)(event.instance)
        assert {k: v for k, v in self.fhir.items() if v} == {k: v for k, v in wanted.items() if v}

    def go_on(self, *, but: list[Flight]) -> None:
        for _ in range(sum(len(log.records) for log in self.logs.values()) + len(self.flights) + 2):
            for partition in PARTITIONS:
                self.receive(partition)
            self.memory_is_bounded()
            self.pick(3, 4)
            for flight in [flight for flight in self.flights if flight not in but]:
                flight.version = self.versions.get(flight.run.lane, 0)
                if not flight.written:
                    self.write(flight.run.records)
                self.settled |= {(flight.run.partition, one.offset) for one in flight.run.records}
                self.end(flight, finished=True)


TestCore = Core.TestCase
TestCore.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
