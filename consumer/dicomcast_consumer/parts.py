"""Parts that both `run` and `dlq replay` are put together from."""

import asyncio
import random
from typing import Any

import httpx
import structlog
from dicomcast_runtime.backoff import full_jitter
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.http_client import peer_client
from dicomcast_schemas.topic import PARTITIONER

from .capability import Capability, capability_of, require_capability
from .config import ConsumerSettings
from .errors import ConflictError, RejectedError, RetryableError, SystemicError
from .fhir_client import FhirClient
from .group_admin import OF_CONSUMERS
from .mapping_options import MappingOptions
from .reader import FeedSource

__all__ = ["bare_patient_ids", "feed_source", "letter_producer_config", "read_capability", "wait_for_fhir"]

log = structlog.get_logger("dicomcast.consumer")


async def wait_for_fhir(fhir: FhirClient, options: MappingOptions) -> None:
    """Returns once the FHIR server has answered with what is needed. Raises ConfigurationError when it lacks it."""
    for attempt in range(1_000_000):
        try:
            require_capability(await read_capability(fhir), options)
        except RetryableError as error:
            if attempt in (0, 10):
                log.warning("fhir_server.waiting", reason=str(error))
            await asyncio.sleep(full_jitter(attempt, least_s=0.5, most_s=30.0, uniform=random.uniform))
            continue
        return


async def read_capability(fhir: FhirClient) -> Capability:
    """What the server says of itself. Raises ConfigurationError when it refuses to say, RetryableError when away."""
    try:
        return capability_of(await fhir.capability())
    except SystemicError as error:
        raise ConfigurationError(f"{error}; asked for its CapabilityStatement") from None
    except (ConflictError, RejectedError) as error:
        raise ConfigurationError(f"{error}; asked for its CapabilityStatement: check DICOMCAST_FHIR__URL") from None


def bare_patient_ids(settings: ConsumerSettings) -> list[str]:
    """The feeds whose PatientIDs have no system."""
    bare = [name for name, source in settings.sources.items() if not source.patient_system]
    return [] if settings.mapping.patient.system else sorted(bare)


def feed_source(settings: ConsumerSettings, name: str) -> FeedSource:
    """What is known of a configured feed; its client is open and the caller closes it."""
    section = settings.sources[name]
    client: httpx.AsyncClient = peer_client(section.peer())
    return FeedSource(
        profile=section.profile(name), dicomweb=client, ignored_partitions=frozenset(section.ignored_partitions)
    )


def letter_producer_config(settings: ConsumerSettings) -> dict[str, Any]:
    """librdkafka's properties of what produces dead letters."""
    config = settings.kafka.client(enable_idempotence=True, acks="all", partitioner=PARTITIONER)
    config = {name: value for name, value in config.items() if name not in OF_CONSUMERS}
    # The client's own limit is out of the way: the topic's is the one that `topics apply` and the start know of.
    config.setdefault("message.max.bytes", 1_000_000_000)
    config.setdefault("client.id", "dicomcast-consumer-dead-letters")
    # How long an attempt may take: a drain waits for it, and the next attempt sends the letter anew.
    config.setdefault("message.timeout.ms", 10_000)
    config.setdefault("topic.metadata.propagation.max.ms", 5_000)
    return config
