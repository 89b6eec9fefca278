"""The Schema Registry as checks of `doctor`, for both processes. Nothing is registered there, and nothing kept."""

from collections.abc import Callable
from functools import partial

import httpx
from dicomcast_schemas import SCHEMA_JSON

from .clocks import HttpClock, clock_finding
from .doctor import Check, Finding, NotAskedError, doubtful
from .errors import BrokenContractError
from .http_client import peer_client
from .kafka_settings import RegistrySettings
from .peer_settings import AuthSettings, PeerSettings
from .registry import COMPATIBILITY, SchemaRegistry, Subject

__all__ = ["for_reading", "for_registering", "registry_checks"]


def registry_checks(settings: RegistrySettings, topic: str, judged: Callable[[Subject], Finding]) -> tuple[Check, ...]:
    """`judged`: what the subject of the topic means to the process."""
    if settings.url is None:
        return (Check(name="registry", look=_none),)
    return (
        Check(name="registry", look=partial(_subject, settings, topic, judged), needs=("settings",)),
        Check(name="registry.clock", look=partial(_clock, settings), needs=("registry",)),
    )


def for_registering(subject: Subject) -> Finding:
    """To the producer. Raises BrokenContractError where `run` would."""
    if subject.refusal is not None:
        raise BrokenContractError(subject.refusal)
    if subject.schema_id is None:
        return Finding(f"this release's schema can be registered under {subject.name}; `run` does it")
    found = f"this release's schema is id {subject.schema_id} under {subject.name}"
    if subject.level == COMPATIBILITY:
        return Finding(found)
    level = subject.level or "the registry's own default"
    return doubtful(f"{found}, whose compatibility is {level}, not {COMPATIBILITY}: `run` sets it if it may")


def for_reading(subject: Subject) -> Finding:
    """To the consumer, which asks for the schemas of ids that it meets."""
    if subject.schema_id is None:
        return Finding(f"it answers; {subject.name} has not this release's schema (the producer registers it)")
    return Finding(f"this release's schema is id {subject.schema_id} under {subject.name}")


async def _none() -> Finding:
    raise NotAskedError("none is configured (DICOMCAST_REGISTRY__URL); records carry their schema's fingerprint")


async def _subject(settings: RegistrySettings, topic: str, judged: Callable[[Subject], Finding]) -> Finding:
    registry = SchemaRegistry(settings)
    try:
        return judged(registry.look(topic, SCHEMA_JSON))
    finally:
        registry.close()


async def _clock(settings: RegistrySettings) -> Finding:
    assert settings.url is not None  # the check before this one
    clock = HttpClock()
    async with peer_client(_peer(settings, settings.url)) as client:
        clock.watch(client)
        try:
            await client.get("config")
        except httpx.HTTPError as error:
            raise NotAskedError(f"it did not answer another request ({type(error).__name__})") from None
    return clock_finding("the Schema Registry", clock.ahead, suffers="its certificates and logs do not fit")


def _peer(settings: RegistrySettings, url: str) -> PeerSettings:
    auth = AuthSettings()
    if settings.user_info is not None:
        user, _, password = settings.user_info.get_secret_value().partition(":")
        auth = AuthSettings.model_validate({"kind": "basic", "username": user, "password": password})
    return PeerSettings(url=url, auth=auth, ca_file=settings.ca_file, timeout_s=10.0)
