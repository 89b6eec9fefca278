"""Who talks to whom: the options of a person, and the environment that producer and consumer get from them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dicomcast_runtime.kafka_settings import KafkaSettings
from dicomcast_runtime.peer_settings import PeerSettings
from dicomcast_runtime.settings import ENV_PREFIX, ProcessSettings
from dicomcast_schemas.topic import DEFAULT_TOPIC
from pydantic import ConfigDict, Field

from dicomcast_sandbox.kafka import DEFAULT_GROUP

__all__ = ["FEED", "DemoOptions", "DemoPeers", "FeedPeer", "Wiring"]

FEED: Final = "demo"
_FEED_VARIABLE: Final = f"{ENV_PREFIX}FEED__"
_SOURCE_VARIABLE: Final = f"{ENV_PREFIX}SOURCES__{FEED.upper()}__"
_SHARED_WITH_SOURCE: Final = ("AUTH__", "CA_FILE")
_OF_MOCK: Final = {
    # The classic protocol of the mock cluster notices a member that has left only when its session times out.
    f"{ENV_PREFIX}KAFKA__GROUP_PROTOCOL": "consumer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """What a person asked for; an address that is None is played by a stand-in."""

    bootstrap_servers: str | None = None
    fhir_url: str | None = None
    dicomweb_url: str | None = None
    change_feed_url: str | None = None
    keep: bool = False
    show_patients: bool = False
    timeout_s: float = 60.0


class FeedPeer(PeerSettings):
    """The DICOM server; what only the producer needs of the section is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DemoPeers(ProcessSettings):
    """The demo's own clients, from the same variables as producer and consumer."""

    kafka: KafkaSettings = Field(description="librdkafka properties.")
    fhir: PeerSettings = Field(description="The FHIR server.")
    feed: FeedPeer = Field(description="The DICOM server.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """Addresses and names of one run."""

    run: str
    options: DemoOptions
    bootstrap_servers: str
    fhir_url: str
    dicomweb_url: str
    change_feed_url: str

    @property
    def mock(self) -> bool:
        """Whether Kafka is the stand-in."""
        return self.options.bootstrap_servers is None

    @property
    def topic(self) -> str:
        """On a Kafka of a person's own a new one for each run: a topic carries one feed, and this one has its own."""
        return DEFAULT_TOPIC if self.mock else f"dicomcast.demo.{self.run}"

    @property
    def group(self) -> str:
        """Likewise."""
        return DEFAULT_GROUP if self.mock else f"dicomcast-demo-{self.run}"

    def variables(self) -> dict[str, str]:
        """What the demo sets, without anything secret."""
        values = {
            "KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "TOPIC__NAME": self.topic,
            "FEED__NAME": FEED,
            "FEED__URL": self.change_feed_url,
            "FEED__DICOMWEB_URL": self.dicomweb_url,
            "FEED__POLL_INTERVAL_S": "0.5",
            "FHIR__URL": self.fhir_url,
            "CONSUMER__GROUP": self.group,
            f"SOURCES__{FEED.upper()}__DICOMWEB_URL": self.dicomweb_url,
            f"SOURCES__{FEED.upper()}__TIMEZONE": "UTC",
            f"SOURCES__{FEED.upper()}__PATIENT_SYSTEM": "urn:dicomcast:demo:patients",
        }
        if self.mock:
            values["PRODUCER__VERIFY_TOPICS"] = "false"
        if self.options.dicomweb_url is not None:
            values["FEED__START"] = "now"  # what the server holds already is none of the demo's business
        return {f"{ENV_PREFIX}{name}": value for name, value in values.items()}

    def producer_env(self) -> dict[str, str]:
        """The environment of the producer and of the demo's own clients."""
        return {**_without_settings(), **self._given(), **self.variables()}

    def consumer_env(self) -> dict[str, str]:
        """The environment of the consumer and its commands."""
        return {**self.producer_env(), **self.variables_of_consumer()}

    def variables_of_consumer(self) -> dict[str, str]:
        """What the demo sets for the consumer alone."""
        return dict(_OF_MOCK) if self.mock else {}

    def _given(self) -> dict[str, str]:
        """A person's settings of the servers that are not stand-ins: authentication, TLS, librdkafka properties."""
        options = self.options
        sections = {"KAFKA": options.bootstrap_servers, "FHIR": options.fhir_url, "FEED": options.dicomweb_url}
        wanted = tuple(f"{ENV_PREFIX}{section}__" for section, given in sections.items() if given is not None)
        given = {name: value for name, value in os.environ.items() if name.startswith(wanted)}
        return {**given, **_for_source(given)}


def _for_source(given: Mapping[str, str]) -> dict[str, str]:
    """How the producer authenticates to the DICOM server is how the consumer does."""
    shared = tuple(_FEED_VARIABLE + name for name in _SHARED_WITH_SOURCE)
    return {
        _SOURCE_VARIABLE + name.removeprefix(_FEED_VARIABLE): value
        for name, value in given.items()
        if name.startswith(shared)
    }


def _without_settings() -> dict[str, str]:
    """This process's environment without settings of a line in earnest."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return {**kept, "PYTHONUNBUFFERED": "1"}
