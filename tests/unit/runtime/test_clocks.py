"""Clocks that differ: by the Date of an answer, by a record from the future."""

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from dicomcast_runtime.clocks import HttpClock, broker_clock_finding, clock_finding
from dicomcast_runtime.doctor import NotAskedError

NOW = datetime(2026, 5, 1, 6, 0, 0, 400_000, tzinfo=UTC)


def seen(headers: dict[str, str], *, took: timedelta = timedelta(0)) -> timedelta | None:
    """How far a server is ahead that answers with these headers after `took`."""
    times = iter([NOW, NOW + took])
    clock = HttpClock(lambda: next(times))
    transport = httpx.MockTransport(lambda _: httpx.Response(401, headers=headers))

    async def scenario() -> None:
        async with httpx.AsyncClient(transport=transport) as client:
            clock.watch(client)
            await client.get("https://fhir.example.org/")

    asyncio.run(scenario())
    return clock.ahead


def date(at: datetime) -> dict[str, str]:
    return {"Date": format_datetime(at.astimezone(UTC), usegmt=True)}


@pytest.mark.parametrize(
    ("ahead", "says"),
    [
        (timedelta(0), None),
        (timedelta(seconds=4), None),
        (timedelta(seconds=-4), None),
        (timedelta(seconds=90), "90 s ahead of"),
        (timedelta(hours=-1), "3600 s behind"),
    ],
)
def test_a_difference_beyond_what_a_date_header_can_tell_is_a_warning(ahead: timedelta, says: str | None) -> None:
    found = clock_finding("the server", seen(date(NOW + ahead)), suffers="tokens expire")
    if says is None:
        assert found.doubts == ()
    else:
        assert says in found.doubts[0]
        assert "tokens expire" in found.doubts[0]


def test_an_answer_that_takes_long_is_no_difference() -> None:
    took = timedelta(seconds=8)
    assert seen(date(NOW + took / 2), took=took) == timedelta(seconds=0.1)


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_a_server_without_a_clock_tells_nothing(headers: dict[str, str]) -> None:
    assert seen(headers) is None
    with pytest.raises(NotAskedError, match="the server does not tell the time"):
        clock_finding("the server", None, suffers="")


def test_kafkas_clock_is_seen_only_where_a_record_is_from_the_future() -> None:
    with pytest.raises(NotAskedError, match="no record"):
        broker_clock_finding(None, NOW)
    assert broker_clock_finding(NOW - timedelta(days=3), NOW).doubts == ()
    assert "61 s ahead" in broker_clock_finding(NOW + timedelta(seconds=61), NOW).doubts[0]
