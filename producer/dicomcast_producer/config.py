"""The producer's settings: sections of dicomcast_runtime and the two of its own."""

from typing import Literal

from dicomcast_runtime.http_settings import HttpSettings
from dicomcast_runtime.kafka_settings import KafkaSettings, RegistrySettings, TopicSettings
from dicomcast_runtime.logs import LogSettings
from dicomcast_runtime.peer_settings import HttpUrl, PeerSettings
from dicomcast_runtime.settings import ProcessSettings, Section
from pydantic import Field, model_validator

__all__ = ["FeedSettings", "ProducerSection", "ProducerSettings"]

_MOST_OF_V1 = 100


class FeedSettings(PeerSettings):
    """The change feed that is read."""

    url: HttpUrl = Field(description="Base URL of the DICOM server, before /v1 or /v2.")
    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$",
        description="Short name of the feed in every event (`ce_id`). Stable for ever; a rebuilt server is a new feed.",
    )
    api_version: Literal["v1", "v2"] = Field(
        default="v1", description="Change feed API. v1's sequence is the order; v2 only where v1 is missing."
    )
    dicomweb_url: HttpUrl | None = Field(
        default=None, description="WADO-RS root, for metadata the feed cannot give; default `{url}/{api_version}`."
    )
    start: str = Field(
        default="beginning",
        pattern=r"^(beginning|now|[0-9]{1,18})$",
        description="Where to begin when there is no cursor: `beginning`, `now`, or a sequence (the next is read).",
    )
    poll_interval_s: float = Field(default=5.0, gt=0, description="Seconds between two looks at a feed that is idle.")
    page_size: int = Field(default=100, ge=1, le=200, description="`limit` of a page; at most 100 with v1.")
    pages_in_flight: int = Field(
        default=4, ge=1, le=16, description="v1: pages of a backlog that are asked for at a time."
    )
    gap_settle_s: float = Field(
        default=10.0,
        ge=0,
        description="v1: a hole in the sequences is passed once a later entry has been there for this long.",
    )
    overlap_s: float = Field(
        default=300.0, ge=0, description="v2: how far each window reaches back, for entries that appear late."
    )
    lag_s: float = Field(default=10.0, ge=0, description="v2: how far a window's end stays behind the server's clock.")

    @model_validator(mode="after")
    def _check_page_size(self) -> "FeedSettings":
        if self.api_version == "v1" and self.page_size > _MOST_OF_V1:
            raise ValueError(f"page_size is at most {_MOST_OF_V1} with api_version=v1")
        return self

    @property
    def dicomweb(self) -> PeerSettings:
        """The peer for WADO-RS: the feed's, at `dicomweb_url`."""
        own = {name: getattr(self, name) for name in PeerSettings.model_fields}
        return PeerSettings(**{**own, "url": self.dicomweb_url or f"{self.url.rstrip('/')}/{self.api_version}"})


class ProducerSection(Section):
    """The producer itself."""

    transaction_timeout_s: float = Field(
        default=20.0, ge=15, le=30, description="After this long the broker ends a transaction that was left open."
    )
    transaction_events: int = Field(
        default=2000, ge=1, description="A transaction takes no further page once it has this many events."
    )
    transaction_bytes: int = Field(
        default=32_000_000, ge=1, description="A transaction takes no further page once its metadata is this large."
    )
    identity_check_s: float = Field(
        default=600.0, gt=0, description="How often the last published entry and the topic are checked to be the same."
    )
    drain_s: float = Field(
        default=20.0, gt=0, description="After SIGTERM, how long the transaction in flight may take to be committed."
    )
    verify_topics: bool = Field(
        default=True,
        description="Whether topics must exist as `topics apply` makes them. Off only for a broker that cannot be "
        "asked, as librdkafka's mock cluster.",
    )


class ProducerSettings(ProcessSettings):
    """Everything `dicomcast-producer` reads."""

    feed: FeedSettings = Field(description="The DICOM server's change feed.")
    topic: TopicSettings = Field(default=TopicSettings(), description="The topic of changes.")
    kafka: KafkaSettings = Field(description="librdkafka properties.")
    registry: RegistrySettings = Field(default=RegistrySettings(), description="Schema Registry, where there is one.")
    log: LogSettings = Field(default=LogSettings(), description="Logs.")
    http: HttpSettings = Field(default=HttpSettings(), description="The port for probes and metrics.")
    producer: ProducerSection = Field(default=ProducerSection(), description="The producer itself.")
