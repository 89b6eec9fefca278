"""The consumer's settings."""

from typing import Literal

from dicomcast_runtime.http_settings import HttpSettings
from dicomcast_runtime.kafka_settings import KafkaSettings, RegistrySettings, TopicSettings
from dicomcast_runtime.logs import LogSettings
from dicomcast_runtime.peer_settings import HttpUrl, PeerHttpSettings, PeerSettings
from dicomcast_runtime.settings import ProcessSettings, Section
from pydantic import Field

from .mapping_options import AbsoluteUri, MappingOptions, SourceProfile, ZoneName

__all__ = ["ConsumerSection", "ConsumerSettings", "SourceSection", "WebSection"]


class ConsumerSection(Section):
    """The group member."""

    group: str = Field(
        default="dicomcast-consumer", description="Consumer group (group.id); the dead-letter topic is named after it."
    )
    start: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a group without offsets begins. Written down at once."
    )
    max_in_flight: int = Field(
        default=4, ge=1, description="Groups of studies on their way to FHIR at once; 1 is strict partition order."
    )
    max_studies_per_bundle: int = Field(default=50, ge=1, description="Studies that share a search and a transaction.")
    max_instances_per_bundle: int = Field(
        default=2_000, ge=1, description="Events that one transaction applies at most."
    )
    max_waiting_records: int = Field(
        default=2_000, ge=1, description="Records of a partition in memory; beyond it the partition is paused."
    )
    max_waiting_bytes: int = Field(
        default=56 * 1024 * 1024,
        ge=100_000,
        description="Bytes of all partitions' records in memory; beyond it, those that hold some are paused.",
    )
    max_span: int = Field(
        default=50_000,
        ge=100,
        description="Offsets between the lowest unfinished and the highest received event; beyond it the partition "
        "is paused.",
    )
    drain_s: float = Field(
        default=20.0,
        gt=0,
        description="Seconds that writes under way get when a partition moves to another member, or at SIGTERM. The "
        "process ends at most 25 s later: give its supervisor more than both before it kills "
        "(terminationGracePeriodSeconds, stop_grace_period).",
    )
    stuck_after_s: float = Field(
        default=900.0,
        gt=0,
        description="Seconds after which a study that alone fails, while others go through, is taken apart to find the "
        "event that does it; that one becomes a dead letter. Likewise an event whose metadata alone the DICOM server "
        "does not give.",
    )
    check_topics: bool = Field(default=True, description="Whether topic and dead-letter topic are compared at start.")


class SourceSection(PeerHttpSettings):
    """A change feed whose events the consumer applies, by the feed's name: `DICOMCAST_SOURCES__<FEED>__...`."""

    dicomweb_url: HttpUrl = Field(description="DICOMweb root (WADO-RS), without /studies: written as Endpoint.address.")
    private_url: HttpUrl | None = Field(
        default=None, description="Root to read from where it differs from the public one; never written to FHIR."
    )
    timezone: ZoneName | None = Field(
        default=None, description="IANA zone of its local times, where a data set has no offset, e.g. Europe/Berlin."
    )
    patient_system: AbsoluteUri | None = Field(
        default=None, description="Identifier.system of its PatientIDs; without one they are searched as `|value`."
    )
    accession_system: AbsoluteUri | None = Field(
        default=None, description="Identifier.system of its accession numbers."
    )
    partition: str | None = Field(
        default=None, description="Data partition of the DICOM server; default Microsoft.Default or none."
    )
    ignored_partitions: list[str] = Field(
        default=[], description="Data partitions whose events are counted and otherwise passed over."
    )

    def profile(self, feed: str, *, dicomweb_url: str | None = None) -> SourceProfile:
        """The mapping's view of the feed; `dicomweb_url` stands in for that of the settings."""
        return SourceProfile(
            feed=feed,
            dicomweb_url=dicomweb_url or self.dicomweb_url,
            timezone=self.timezone,
            patient_system=self.patient_system,
            accession_system=self.accession_system,
            partition=self.partition,
        )

    def peer(self) -> PeerSettings:
        """The HTTP peer to read metadata from."""
        own = {name: getattr(self, name) for name in PeerHttpSettings.model_fields}
        return PeerSettings(url=self.private_url or self.dicomweb_url, **own)


class WebSection(Section):
    """The page for people, `dicomcast-consumer web`; nothing else reads it."""

    listen: str = Field(
        default="127.0.0.1:9590",
        pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^\s:/\[\]]+):[0-9]{1,5}$",
        description="`host:port` of the page; port 0 takes a free one (the command prints it). It has no sign-in: "
        "beyond this machine put a proxy with one in front.",
    )
    hosts: list[str] = Field(
        default=[],
        description="Host names that the page may be asked by, besides `localhost` and IP addresses: those of a proxy "
        "in front, without port.",
    )
    members: list[HttpUrl] = Field(
        default=[],
        description="HTTP ports of the group's members (see `DICOMCAST_HTTP__LISTEN`), such as `http://10.0.0.7:9580`, "
        "for breaker and studies in flight.",
    )
    sample_every_s: float = Field(
        default=5.0, ge=0.2, le=60, description="Seconds between two looks at Kafka and the members."
    )


class ConsumerSettings(ProcessSettings):
    """All settings of `dicomcast-consumer`."""

    kafka: KafkaSettings
    fhir: PeerSettings
    sources: dict[str, SourceSection] = Field(min_length=1, description="The change feeds it applies, by name.")
    topic: TopicSettings = TopicSettings()
    registry: RegistrySettings = RegistrySettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    consumer: ConsumerSection = ConsumerSection()
    mapping: MappingOptions = MappingOptions()
    web: WebSection = WebSection()
