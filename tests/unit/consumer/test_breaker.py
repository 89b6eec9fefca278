"""The breaker: an outage is several failures over several studies; one probe at a time."""

from dicomcast_consumer.breaker import Breaker, BreakerState


def breaker() -> Breaker:
    return Breaker(failures=3, studies=2, least_s=1.0, most_s=8.0, uniform=lambda _, high: high)


def test_one_studys_failures_are_not_an_outage() -> None:
    b = breaker()
    for _ in range(10):
        b.failed(b"a", 0.0)
    assert b.state is BreakerState.CLOSED


def test_one_study_that_finds_no_server_is_enough() -> None:
    b = breaker()
    for _ in range(2):
        b.failed(None, 0.0)
    assert b.state is BreakerState.CLOSED
    b.failed(None, 0.0)
    assert b.state is BreakerState.OPEN


def test_failures_over_two_studies_open_it_and_one_probe_tries() -> None:
    b = breaker()
    for lane in (b"a", b"b", b"a"):
        b.failed(lane, 0.0)
    assert b.state is BreakerState.OPEN
    assert b.delay_s(0.5) == 1.5
    assert b.delay_s(2.0) == 0
    assert b.delay_s(2.0) is None  # another one is the probe
    b.succeeded()
    assert b.delay_s(2.0) == 0


def test_a_failed_probe_waits_longer_up_to_the_bound() -> None:
    b = breaker()
    for lane in (b"a", b"b", b"a"):
        b.failed(lane, 0.0)
    now, waits = 0.0, []
    for _ in range(4):
        wait = b.delay_s(now)
        assert wait is not None
        waits.append(wait)
        now += wait
        assert b.delay_s(now) == 0
        b.failed(b"a", now, probe=b.probe)
    assert waits == [2.0, 4.0, 8.0, 8.0]


def test_a_cancelled_probe_lets_another_try_at_once() -> None:
    b = breaker()
    b.trip(0.0)
    assert b.delay_s(10.0) == 0
    b.abandoned(10.0, probe=b.probe)
    assert b.delay_s(10.0) == 0


def test_a_success_between_failures_keeps_it_closed() -> None:
    b = breaker()
    for _ in range(5):
        b.failed(b"a", 0.0)
        b.failed(b"b", 0.0)
        b.succeeded()
    assert b.state is BreakerState.CLOSED


def test_what_was_on_its_way_when_it_opened_does_not_lengthen_the_wait() -> None:
    b = breaker()
    for _ in range(8):
        b.trip(0.0)
    assert b.delay_s(0.0) == 2.0


def test_what_was_on_its_way_when_it_opened_does_not_speak_for_the_probe() -> None:
    b = breaker()
    b.trip(0.0)
    assert b.delay_s(10.0) == 0
    b.failed(b"a", 10.0)
    b.abandoned(10.0, probe=None)
    assert b.delay_s(1e6) is None  # the probe is still on its way
