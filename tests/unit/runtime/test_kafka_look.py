"""Looking at topics: what is done when no broker answers."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException
from dicomcast_runtime.errors import DependencyError
from dicomcast_runtime.kafka_look import KafkaLook
from dicomcast_runtime.kafka_settings import KafkaSettings

BROKER = "127.0.0.1:9"


class Clients:
    """Stands for AdminClient: the first that is made never finds a broker, the others do at once."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, config: dict[str, Any]) -> "Client":
        self.made += 1
        return Client(lost=self.made == 1)


class Client:
    def __init__(self, *, lost: bool) -> None:
        self._lost = lost

    def poll(self, timeout: float) -> int:
        return 0

    def list_topics(self, timeout: float) -> Any:
        if self._lost:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return SimpleNamespace(topics={"events": SimpleNamespace(partitions={0: None, 1: None})})

    def describe_consumer_groups(self, groups: list[str], **options: Any) -> dict[str, "Future[Any]"]:
        return {group: Future() for group in groups}


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    made = Clients()
    monkeypatch.setattr("dicomcast_runtime.kafka_look.AdminClient", made)
    return made


def test_a_client_that_found_no_broker_is_not_asked_again(clients: Clients) -> None:
    """A member that was starting when its broker froze did not get on for minutes in which new clients found it."""
    look = KafkaLook(KafkaSettings(bootstrap_servers=BROKER))
    with pytest.raises(DependencyError, match=r"looking at topic events: Kafka at .* gives no answer"):
        look.partitions("events", "Read")
    assert look.partitions("events", "Read") == 2
    assert look.partitions("events", "Read") == 2
    assert clients.made == 2


def test_a_question_that_the_client_forgets_is_a_broker_that_is_away(clients: Clients) -> None:
    look = KafkaLook(KafkaSettings(bootstrap_servers=BROKER), timeout_s=0.05)
    with pytest.raises(DependencyError, match="looking at group members"):
        look.rights_on_group("members")
    assert clients.made == 2
