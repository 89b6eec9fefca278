"""The topics at start, while no broker answers."""

from typing import Any

import pytest
from dicomcast_consumer.topics import check_topics
from dicomcast_runtime.errors import DependencyError
from structlog.testing import capture_logs


class Look:
    """A cluster that is away for so many questions."""

    def __init__(self, away: int) -> None:
        self._away = away

    def partitions(self, topic: str, right: str) -> int:
        self._away -= 1
        if self._away >= 0:
            raise DependencyError(f"looking at topic {topic}: no answer")
        return 4

    def configurations(self, *topics: str) -> tuple[dict[str, str], ...]:
        return tuple({} for _ in topics)


@pytest.mark.parametrize(("every_s", "said"), [(60.0, 1), (0.0, 3)])
def test_that_kafka_is_away_is_said_again_and_again_but_not_each_time(
    monkeypatch: pytest.MonkeyPatch, every_s: float, said: int
) -> None:
    monkeypatch.setattr("dicomcast_consumer.topics._AGAIN_S", 0.0)
    monkeypatch.setattr("dicomcast_consumer.topics._TELL_EVERY_S", every_s)
    look: Any = Look(away=3)
    with capture_logs() as logs:
        assert check_topics(look, topic="events", group="members") == 4
    assert [entry["reason"] for entry in logs] == ["looking at topic events: no answer"] * said
