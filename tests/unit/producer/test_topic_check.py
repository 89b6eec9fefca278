"""What `run` takes of its two topics."""

from collections.abc import Sequence

import pytest
from dicomcast_producer.topic_check import TopicCheck, TopicState
from dicomcast_producer.topics import ActualTopic, Topics
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.kafka_settings import TopicSettings
from dicomcast_schemas.topic import cursor_topic

EVENTS = TopicSettings().name


class Described(Topics):
    """Topics whose settings are given."""

    def __init__(self, events: dict[str, str], cursor: dict[str, str]) -> None:
        self._found = {EVENTS: events, cursor_topic(EVENTS): cursor}

    def describe(self, names: Sequence[str], *, with_config: bool = True) -> dict[str, ActualTopic]:
        return {name: ActualTopic(name=name, topic_id="t", partitions=4, config=self._found[name]) for name in names}


def state(events: dict[str, str], cursor: dict[str, str]) -> TopicState:
    return TopicCheck(Described(events, cursor), TopicSettings(), verify=True).state()


@pytest.mark.parametrize("policy", ["compact", "compact,delete"])
def test_an_events_topic_that_is_compacted_is_refused(policy: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{EVENTS} has cleanup.policy={policy}.*topics apply"):
        state({"cleanup.policy": policy}, {"cleanup.policy": "compact"})


@pytest.mark.parametrize("policy", ["delete", "compact,delete"])
def test_a_cursor_topic_that_expires_is_refused(policy: str) -> None:
    with pytest.raises(ConfigurationError, match=r"must have cleanup\.policy=compact.*topics apply"):
        state({"cleanup.policy": "delete"}, {"cleanup.policy": policy})


@pytest.mark.parametrize("events", [{}, {"cleanup.policy": "delete"}])
def test_as_topics_apply_makes_them_and_where_the_broker_does_not_tell(events: dict[str, str]) -> None:
    assert state(events, {"cleanup.policy": "compact"}) == TopicState(partitions=4, topic_id="t")
    assert state(events, {}) == TopicState(partitions=4, topic_id="t")
