"""The breaker under a state machine: attempts at many studies, begun and ended in any order, by a server that works or
does not.
"""

from dataclasses import dataclass

from dicomcast_consumer.breaker import Breaker, BreakerState
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

FAILURES = 3
STUDIES = 2
MOST_S = 8.0
lanes = st.sampled_from([b"a", b"b", b"c"])


@dataclass(slots=True, eq=False)
class Attempt:
    """A request on its way, as the gate sends it."""

    lane: bytes
    probe: int | None


class Doors(RuleBasedStateMachine):
    """What the breaker lets through, beside what it may."""

    @initialize()
    def begin(self) -> None:
        self.now_s = 0.0
        self.breaker = Breaker(
            failures=FAILURES, studies=STUDIES, least_s=1.0, most_s=MOST_S, uniform=lambda _, high: high
        )
        self.on_the_way: list[Attempt] = []
        self.failed_since_success: list[bytes] = []

    @rule(seconds=st.integers(0, 10))
    def wait(self, seconds: int) -> None:
        self.now_s += seconds

    @rule(lane=lanes)
    def try_one(self, lane: bytes) -> None:
        before = self.breaker.state
        delay_s = self.breaker.delay_s(self.now_s)
        assert delay_s is None or delay_s <= MOST_S
        if delay_s == 0:
            self.on_the_way.append(Attempt(lane, self.breaker.probe))
            assert (before is BreakerState.CLOSED) == (self.breaker.probe is None)

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data(), how=st.sampled_from(["succeed", "fail", "fail", "trip", "cancel"]))
    def end_one(self, data: st.DataObject, how: str) -> None:
        one = data.draw(st.sampled_from(self.on_the_way))
        self.on_the_way.remove(one)
        before = self.breaker.state
        match how:
            case "succeed":
                self.breaker.succeeded()
                self.failed_since_success = []
            case "fail":
                self.breaker.failed(one.lane, self.now_s, probe=one.probe)
                self.failed_since_success.append(one.lane)
            case "trip":
                self.breaker.trip(self.now_s, probe=one.probe)
            case "cancel":
                self.breaker.abandoned(self.now_s, probe=one.probe)
        if how == "fail" and before is BreakerState.CLOSED:
            outage = len(self.failed_since_success) >= FAILURES and len(set(self.failed_since_success)) >= STUDIES
            assert (self.breaker.state is BreakerState.OPEN) == outage

    @invariant()
    def while_it_is_tried_exactly_one_request_is_the_probe(self) -> None:
        if hasattr(self, "breaker"):
            probes = [one for one in self.on_the_way if one.probe is not None and one.probe == self.breaker.probe]
            assert len(probes) == (self.breaker.state is BreakerState.HALF_OPEN)

    def teardown(self) -> None:
        """Liveness: what is on its way ends, the server works again, and everything goes."""
        if not hasattr(self, "breaker"):
            return
        for one in self.on_the_way:
            self.breaker.failed(one.lane, self.now_s, probe=one.probe)
        self.now_s += MOST_S
        assert self.breaker.delay_s(self.now_s) == 0
        self.breaker.succeeded()
        assert self.breaker.state is BreakerState.CLOSED


TestDoors = Doors.TestCase
TestDoors.settings = settings(
    max_examples=100, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
