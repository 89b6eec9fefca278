"""A start without a UTC offset: its period, when events differ, in whatever order they come."""

from itertools import permutations
from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions
from dicomcast_consumer.mapping.started import UNCERTAIN_PERIOD

from tests.unit.mapping.scene import Scene, event

OPTIONS = MappingOptions(uncertain_period=True)
TIMED = {"StudyDate": "20240131", "StudyTime": "1200"}
BARE = {"StudyDate": "20240131"}
CERTAIN = {**TIMED, "TimezoneOffsetFromUTC": "+0100"}
PERIOD = {"start": "2024-01-31T12:00:00+14:00", "end": "2024-01-31T12:00:00-12:00"}


def _after(*said: dict[str, Any], order: tuple[int, ...], options: MappingOptions = OPTIONS) -> tuple[str, Any]:
    scene = Scene(options=options)
    scene.send_each(*(event(n + 1, instance=f"1.2.3.1.{n + 1}", **said[n]) for n in order))
    assert scene.study is not None
    extensions = (scene.study.get("_started") or {}).get("extension") or []
    return scene.study["started"], [e["valuePeriod"] for e in extensions if e["url"] == UNCERTAIN_PERIOD]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_date_alone_neither_takes_the_period_away_nor_keeps_it_out(order: tuple[int, ...]) -> None:
    assert _after(BARE, TIMED, BARE, order=order) == ("2024-01-31", [PERIOD])


@pytest.mark.parametrize("order", list(permutations(range(2))))
@pytest.mark.parametrize("said", [(TIMED, CERTAIN), (CERTAIN, TIMED)], ids=["certain last", "certain first"])
def test_what_is_certain_has_no_period(said: tuple[dict[str, Any], ...], order: tuple[int, ...]) -> None:
    assert _after(*said, order=order) == ("2024-01-31T12:00:00+01:00", [])


@pytest.mark.parametrize("order", list(permutations(range(2))))
def test_an_assumed_offset_that_turns_out_right_is_certain(order: tuple[int, ...]) -> None:
    options = MappingOptions(uncertain_period=True, unknown_tz="assume-utc")
    certain = {**TIMED, "TimezoneOffsetFromUTC": "+0000"}
    assert _after(TIMED, certain, order=order, options=options) == ("2024-01-31T12:00:00+00:00", [])


def test_somebodys_extension_of_started_stays() -> None:
    scene = Scene(options=OPTIONS)
    scene.send(event(1, **TIMED))
    assert scene.study is not None
    theirs = {"url": "https://example.org/checked", "valueBoolean": True}
    scene.put({**scene.study, "_started": {"extension": [theirs, *scene.study["_started"]["extension"]]}})
    scene.send(event(2, instance="1.2.3.1.2", **CERTAIN))
    assert scene.study["_started"] == {"extension": [theirs]}
