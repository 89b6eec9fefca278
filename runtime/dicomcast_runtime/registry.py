"""Schema Registry: registering our schema, reading that of an id. Blocking calls: never in an event loop."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from .errors import BrokenContractError, ConfigurationError, DependencyError
from .kafka_settings import RegistrySettings
from .registry_cache import RegistryCache

__all__ = ["COMPATIBILITY", "SchemaRegistry", "Subject"]

COMPATIBILITY: Final = "FULL_TRANSITIVE"
"""Every release reads the records of every other: what readers are promised, and what the registry is told to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What the registry has of a topic."""

    name: str
    schema_id: int | None
    """Of this release's schema; None while it is not registered."""
    level: str | None
    """Compatibility level of the subject's own, None without one."""
    refusal: str | None
    """Why `id_for` would raise BrokenContractError; None when it would not."""


class SchemaRegistry:
    """The registry's part of the contract: the subject `<topic>-value` (TopicNameStrategy)."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Raises ConfigurationError without a URL, or with one that the client refuses."""
        if settings.url is None:
            raise ConfigurationError("DICOMCAST_REGISTRY__URL is not set")
        self._settings = settings
        config: dict[str, str] = {"url": settings.url}
        if settings.user_info is not None:
            config["basic.auth.user.info"] = settings.user_info.get_secret_value()
        if settings.ca_file is not None:
            config["ssl.ca.location"] = settings.ca_file
        try:
            self._client = SchemaRegistryClient(config)
        except (ValueError, OSError) as error:
            raise ConfigurationError(f"DICOMCAST_REGISTRY__URL: {error}") from None
        self._cache = RegistryCache(Path(settings.cache_file) if settings.cache_file else None, url=settings.url)

    def close(self) -> None:
        """Closes the connections to the registry."""
        self._client.__exit__(None, None, None)  # type: ignore[no-untyped-call]  # its only way

    def id_for(self, topic: str, schema_json: str) -> int:
        """The id of the schema under the topic's subject, registered if settings allow, with FULL_TRANSITIVE.

        While the registry is away: the id it gave last, where a cache file has it. Raises BrokenContractError when the
        registry finds the schema incompatible or it is not registered and may not be, DependencyError when the
        registry cannot be reached and the cache does not know.
        """
        subject, schema = f"{topic}-value", Schema(schema_json, "AVRO")
        try:
            schema_id = (
                self._register(subject, schema) if self._settings.auto_register else self._found(subject, schema)
            )
        except SchemaRegistryError as error:
            if error.http_status_code in (404, 409, 422):
                raise BrokenContractError(self._refusal(subject, schema, error.http_status_code)) from None
            failure = self._failure(error, subject)
        except Exception as error:  # the client raises its HTTP library's errors as they are
            failure = self._failure(error, subject)
        else:
            self._cache.keep(schema_id, schema_json, subject=subject)
            return schema_id
        known = self._cache.id_for(subject, schema_json)
        if known is None:
            raise DependencyError(failure)
        return known

    def look(self, topic: str, schema_json: str) -> Subject:
        """What the registry has under the topic's subject. Registers nothing, and keeps nothing.

        Raises ConfigurationError when the registry refuses us, DependencyError when it cannot be reached.
        """
        subject, schema = f"{topic}-value", Schema(schema_json, "AVRO")
        try:
            level = self._level(subject)
            known = self._found_or_none(subject, schema)
        except SchemaRegistryError as error:
            kind = ConfigurationError if error.http_status_code in (401, 403) else DependencyError
            raise kind(self._failure(error, subject)) from None
        except Exception as error:  # the client raises its HTTP library's errors as they are
            raise DependencyError(self._failure(error, subject)) from None
        refusal = None
        if known is None and self._conflicting(subject, schema):
            refusal = self._refusal(subject, schema, 409)
        elif known is None and not self._settings.auto_register:
            refusal = self._refusal(subject, schema, 404)
        return Subject(name=subject, schema_id=known, level=level, refusal=refusal)

    def schema_by_id(self, schema_id: int) -> str:
        """The writer's schema of an id; kept once read, so a registry outage does not stop what was seen before.

        Raises LookupError for an unknown id, DependencyError when the registry cannot be reached.
        """
        known = self._cache.schema(schema_id)
        if known is not None:
            return known
        try:
            text = self._client.get_schema(schema_id).schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                raise LookupError(schema_id) from None
            raise DependencyError(f"the Schema Registry answered {error.http_status_code} for id {schema_id}") from None
        except Exception as error:  # the client raises its HTTP library's errors as they are
            raise DependencyError(f"the Schema Registry cannot be reached: {type(error).__name__}") from error
        if text is None:
            raise LookupError(schema_id)
        self._cache.keep(schema_id, text)
        return text

    def _register(self, subject: str, schema: Schema) -> int:
        """Before the schema, so that no release's first schema stands unguarded."""
        if self._level(subject) != COMPATIBILITY:
            self._client.set_compatibility(subject, COMPATIBILITY)
        return int(self._client.register_schema(subject, schema, normalize_schemas=False))

    def _found(self, subject: str, schema: Schema) -> int:
        return int(self._client.lookup_schema(subject, schema).schema_id)  # type: ignore[arg-type]  # it has an id

    def _found_or_none(self, subject: str, schema: Schema) -> int | None:
        try:
            return self._found(subject, schema)
        except SchemaRegistryError as error:
            if error.http_status_code == 404:  # neither the subject nor the schema in it
                return None
            raise

    def _failure(self, error: Exception, subject: str) -> str:
        status = error.http_status_code if isinstance(error, SchemaRegistryError) else None
        if status in (401, 403):
            return f"the Schema Registry answered {status} for {subject}: check DICOMCAST_REGISTRY__USER_INFO"
        check = "check DICOMCAST_REGISTRY__URL, and whether it is up"
        if status is not None and status > 0:
            return f"the Schema Registry answered {status} for {subject}: {check}"
        return f"the Schema Registry cannot be reached: {type(error).__name__}: {check}"

    def _level(self, subject: str) -> str | None:
        try:
            return str(self._client.get_compatibility(subject))
        except SchemaRegistryError as error:
            if error.http_status_code == 404:  # the subject has none of its own
                return None
            raise

    def _refusal(self, subject: str, schema: Schema, status: int) -> str:
        if status == 404:
            return (
                f"this release's schema is not registered under {subject}: register it (schemas/dicomcast_schemas/"
                "dicom_change_event.avsc), or let the producer do it (DICOMCAST_REGISTRY__AUTO_REGISTER=true)"
            )
        versions = ", ".join(str(version) for version in self._conflicting(subject, schema)) or "a version"
        return (
            f"the Schema Registry does not take this release's schema for {subject} ({status}): it is not "
            f"{COMPATIBILITY} with version {versions} there. Nothing was published. Run the release that wrote it, or "
            f"another topic (DICOMCAST_TOPIC__NAME); if something else has registered it, delete that version"
        )

    def _conflicting(self, subject: str, schema: Schema) -> list[int]:
        try:
            versions = self._client.get_versions(subject)
            return [n for n in versions if not self._client.test_compatibility(subject, schema, version=n)]
        except Exception:  # it only makes the refusal more exact
            return []
