"""Schema Registry: registering our schema, reading that of an id. Blocking calls: never in an event loop."""

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError

from .errors import BrokenContractError, ConfigurationError, DependencyError
from .kafka_settings import RegistrySettings

__all__ = ["SchemaRegistry"]


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
        self._by_id: dict[int, str] = {}

    def close(self) -> None:
        """Closes the connections to the registry."""
        self._client.__exit__(None, None, None)  # type: ignore[no-untyped-call]  # its only way

    def id_for(self, topic: str, schema_json: str) -> int:
        """The id of the schema under the topic's subject, registered if settings allow.

        Raises BrokenContractError when the registry finds it incompatible or it is not registered and may not be,
        DependencyError when the registry cannot be reached.
        """
        subject, schema = f"{topic}-value", Schema(schema_json, "AVRO")
        try:
            if self._settings.auto_register:
                return int(self._client.register_schema(subject, schema, normalize_schemas=False))
            found = self._client.lookup_schema(subject, schema)
            return int(found.schema_id)  # type: ignore[arg-type]  # a found schema has an id
        except SchemaRegistryError as error:
            if error.http_status_code in (404, 409, 422):
                raise BrokenContractError(
                    f"the Schema Registry does not take this release's schema for {subject} "
                    f"({error.http_status_code}): register it, or upgrade in the documented order"
                ) from None
            raise DependencyError(f"the Schema Registry answered {error.http_status_code} for {subject}") from None
        except Exception as error:  # the client raises its HTTP library's errors as they are
            raise DependencyError(f"the Schema Registry cannot be reached: {type(error).__name__}") from error

    def schema_by_id(self, schema_id: int) -> str:
        """The writer's schema of an id; kept once read, so a registry outage does not stop what was seen before.

        Raises LookupError for an unknown id, DependencyError when the registry cannot be reached.
        """
        known = self._by_id.get(schema_id)
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
        self._by_id[schema_id] = text
        return text
