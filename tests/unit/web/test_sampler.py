"""The sampler: what goes wrong is part of what is seen, and nothing ends it."""

from collections.abc import Callable

from dicomcast_consumer.dlq_done import KeptLetter
from dicomcast_consumer.status import GroupStatus, PartitionStatus
from dicomcast_consumer.web.members import MemberView, away
from dicomcast_consumer.web.sampler import Sampler, ask_members
from dicomcast_runtime.errors import DependencyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from tests.fakes.serving import served


def status(*, letters: int | None = 0) -> GroupStatus:
    each = PartitionStatus(
        partition=0, committed=3, begin=0, end=5, oldest_unfinished_at=None, member=None, dead_letters=letters
    )
    return GroupStatus(topic="t", group="g", dead_letter_topic="t.g.dlq", partitions=(each,), members=())


def sampler(look: Callable[[], GroupStatus], letters: Callable[[], list[KeptLetter]] = list) -> Sampler:
    def members() -> tuple[MemberView, ...]:
        return (away("http://a:1", "no answer"),)

    return Sampler(status=look, members=members, letters=letters, every_s=60)


def test_a_look_keeps_what_was_found() -> None:
    found = sampler(status)
    found.look()
    found.look()
    assert (len(found.seen.samples), found.seen.pending, found.seen.fault) == (2, 0, None)
    assert found.seen.status == status()
    assert found.seen.members


def test_kafka_away_is_seen_and_what_was_found_before_stays() -> None:
    answers: list[Callable[[], GroupStatus]] = [status, lambda: raises(DependencyError("away: is it up?"))]
    found = sampler(lambda: answers.pop(0)())
    found.look()
    found.look()
    assert found.seen.fault == "away: is it up?"
    assert found.seen.status == status()
    assert len(found.seen.samples) == 1


def test_a_bug_does_not_end_it_and_says_nothing_of_a_patient() -> None:
    answers: list[Callable[[], GroupStatus]] = [lambda: raises(KeyError("Doe^Jane")), status]
    found = sampler(lambda: answers.pop(0)())
    with capture_logs() as logged:
        found.look()
    assert found.seen.fault is not None
    assert "KeyError at test_sampler.py" in found.seen.fault
    assert "Doe" not in found.seen.fault + str(logged)
    found.look()
    assert found.seen.fault is None


def test_without_a_dead_letter_topic_nothing_is_counted() -> None:
    found = sampler(lambda: status(letters=None), letters=lambda: raises(AssertionError("nobody asks")))
    found.look()
    assert (found.seen.pending, found.seen.fault) == (None, None)


def raises(error: Exception) -> GroupStatus:
    raise error


def test_members_that_are_none_are_told_and_a_redirect_is_not_followed() -> None:
    async def other(_: Request) -> PlainTextResponse:
        return PlainTextResponse("up 1\n")

    async def elsewhere(_: Request) -> RedirectResponse:
        return RedirectResponse("/other/metrics")

    routes = [Route("/other/metrics", other), Route("/other/readyz", other), Route("/metrics", elsewhere)]
    with served(Starlette(routes=routes)) as url:
        found = ask_members([f"{url}/other", url, "http://127.0.0.1:9"])
    assert [each.fault for each in found[:2]] == [found[0].fault] * 2
    assert "no consumer of dicomcast" in str(found[0].fault)
    assert found[2].fault == "no answer (ConnectError)"


def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    async def endless(_: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * 3_000_000)

    with served(Starlette(routes=[Route("/metrics", endless)])) as url:
        (found,) = ask_members([url])
    assert found.fault == "no answer (DecodingError)"
