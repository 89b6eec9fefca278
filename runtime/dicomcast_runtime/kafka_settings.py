"""How a process reaches Kafka: any librdkafka property, but for the few that would break a guarantee.

`DICOMCAST_KAFKA__SASL_USERNAME` is `sasl.username`; in TOML, `[kafka]` takes the dotted names in quotes as well.
"""

from typing import Final

from pydantic import Field, RootModel, SecretStr, field_validator, model_validator

from .peer_settings import HttpUrl
from .settings import Section

__all__ = ["REFUSED", "KafkaSettings", "RegistrySettings", "TopicSettings"]

REFUSED: Final = {
    "acks": "a write counts only when all in-sync replicas have it",
    "allow.auto.create.topics": "a topic made by accident has a wrong partition count; use `topics apply`",
    "auto.offset.reset": "an offset out of range must stop the consumer, not move it",
    "enable.auto.commit": "an offset is committed only after the FHIR write",
    "enable.auto.offset.store": "an offset is committed only after the FHIR write",
    "enable.idempotence": "a retried send must not double an event",
    "isolation.level": "events of an aborted transaction never happened",
    "partitioner": "the partition of a study is part of the topic's contract",
    "transactional.id": "it is derived from the topic, so that a second producer fences the first",
    "group.id": "set it as DICOMCAST_CONSUMER__GROUP: the dead-letter topic is named after it",
}

_STRATEGY: Final = "partition.assignment.strategy"
_COOPERATIVE: Final = "cooperative-sticky"


class KafkaSettings(RootModel[dict[str, str]]):
    """librdkafka properties by their dotted names."""

    model_config = {"frozen": True}

    @field_validator("root", mode="before")
    @classmethod
    def _dotted(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {_property(str(name)): _text(v) for name, v in value.items()}

    @model_validator(mode="after")
    def _check(self) -> "KafkaSettings":
        wrong = [f"{name} is not yours to set: {REFUSED[name]}" for name in sorted(self.root) if name in REFUSED]
        if self.root.get(_STRATEGY, _COOPERATIVE) != _COOPERATIVE:
            wrong.append(f"{_STRATEGY} can only be {_COOPERATIVE}: a member keeps what a rebalance does not move")
        if "bootstrap.servers" not in self.root:
            wrong.append("bootstrap.servers is required: DICOMCAST_KAFKA__BOOTSTRAP_SERVERS=host:port[,host:port]")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def __repr__(self) -> str:
        """Names alone: a value may be a secret."""
        return f"KafkaSettings({', '.join(sorted(self.root))})"

    __str__ = __repr__

    def client(self, **properties: str | int | float | bool) -> dict[str, str | int | float | bool]:
        """The configuration of one client: what a person set over librdkafka's defaults, `properties` over both.

        Keyword names are dotted names with underscores.
        """
        quiet = {"log_level": 5}  # librdkafka's notes on its own housekeeping (6) tell a person nothing
        return {**quiet, **self.root, **{name.replace("_", "."): value for name, value in properties.items()}}


class TopicSettings(Section):
    """The topic of changes; its cursor and dead-letter topics are named after it."""

    name: str = Field(default="dicom.changes.v1", description="The topic the producer writes and the consumer reads.")
    partitions: int = Field(
        default=12, ge=1, description="Partition count that `topics apply` creates. Never change it later."
    )
    replication_factor: int = Field(
        default=-1, ge=-1, description="Replication factor that `topics apply` asks for; -1 is the broker's default."
    )
    retention_days: float = Field(
        default=-1, description="How long the topic keeps its events, the horizon of a replay; -1 keeps them for ever."
    )
    max_record_bytes: int = Field(
        default=1_000_000, ge=10_000, description="Largest record; metadata beyond it is left out and read by WADO-RS."
    )


class RegistrySettings(Section):
    """A Schema Registry with Confluent's API; without a URL, records carry their schema's fingerprint instead."""

    url: HttpUrl | None = Field(default=None, description="Base URL of the registry's Confluent API.")
    user_info: SecretStr | None = Field(default=None, description="`user:password` for basic authentication.")
    ca_file: str | None = Field(default=None, description="CA certificates (PEM) to check the registry by.")
    auto_register: bool = Field(
        default=True,
        description="Whether the producer registers its schema at start, and sets its subject to FULL_TRANSITIVE.",
    )
    cache_file: str | None = Field(
        default=None,
        description="File that keeps what the registry has said, so that a process which restarts while the registry "
        "is away goes on. Without one the producer then ends (69), and the consumer waits; neither loses anything.",
    )


def _property(name: str) -> str:
    dotted = name.lower().replace("_", ".")
    return "log_level" if dotted == "log.level" else dotted  # the one property that is written with an underscore


def _text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value
