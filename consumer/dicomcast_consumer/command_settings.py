"""Settings of the commands that look at Kafka: a part of the consumer's, so that one file and environment serve all."""

from pathlib import Path
from typing import Annotated

import typer
from dicomcast_runtime.kafka_settings import KafkaSettings, RegistrySettings, TopicSettings
from dicomcast_runtime.settings import ProcessSettings
from dicomcast_schemas import SchemaById
from pydantic import Field

from .config import ConsumerSection, SourceSection
from .mapping_options import MappingOptions

__all__ = ["ConfigFile", "GroupSettings", "LetterSettings", "MapSettings"]

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        envvar="DICOMCAST_CONFIG",
        show_default=False,
        help="Read the settings from this TOML file; DICOMCAST_… variables in the environment win over it.",
    ),
]


class GroupSettings(ProcessSettings):
    """What it takes to look at a consumer group: sections kafka, topic and consumer."""

    kafka: KafkaSettings
    topic: TopicSettings = TopicSettings()
    consumer: ConsumerSection = ConsumerSection()


class MapSettings(ProcessSettings):
    """What it takes to map without network: sections sources and mapping."""

    sources: dict[str, SourceSection] = Field(default={}, description="The change feeds, by name.")
    mapping: MappingOptions = MappingOptions()


class LetterSettings(GroupSettings):
    """What it takes to read dead letters and to map them again."""

    registry: RegistrySettings = RegistrySettings()
    sources: dict[str, SourceSection] = Field(default={}, description="The change feeds, by name.")
    mapping: MappingOptions = MappingOptions()

    def schema_by_id(self) -> SchemaById | None:
        """How to read records with a schema id; None without a Schema Registry."""
        if self.registry.url is None:
            return None
        from dicomcast_runtime.registry import SchemaRegistry  # its client takes half a second to import

        return SchemaRegistry(self.registry).schema_by_id
