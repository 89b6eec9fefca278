"""What a Schema Registry has said, kept in memory, and in a file where one is configured.

An id of a registry means the same schema for ever, so what was read once needs no second asking. The file lets a
process that restarts while the registry is away go on; it belongs to one registry (its URL stands in it) and may be
deleted at any time.
"""

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from .errors import ConfigurationError

__all__ = ["RegistryCache"]


class RegistryCache:
    """Schemas by id, ids by subject and schema."""

    def __init__(self, file: Path | None, *, url: str) -> None:
        """Reads the file where there is one; what is no cache of this registry counts as empty."""
        self._file = file
        self._url = url
        self._schemas: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        self._read()

    def schema(self, schema_id: int) -> str | None:
        """The schema of an id that was kept."""
        return self._schemas.get(str(schema_id))

    def id_for(self, subject: str, schema_json: str) -> int | None:
        """The id under which exactly this schema was registered."""
        return self._ids.get(_name(subject, schema_json))

    def keep(self, schema_id: int, schema_json: str, *, subject: str | None = None) -> None:
        """Keeps what the registry said. Raises ConfigurationError when the file cannot be written."""
        before = (dict(self._schemas), dict(self._ids))
        self._schemas[str(schema_id)] = schema_json
        if subject is not None:
            self._ids[_name(subject, schema_json)] = schema_id
        if self._file is not None and before != (self._schemas, self._ids):
            self._write(self._file)

    def _read(self) -> None:
        if self._file is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError):
            found = json.loads(self._file.read_text(encoding="utf-8"))
            if found["url"] == self._url:
                self._schemas = {str(id): str(schema) for id, schema in found["schemas"].items()}
                self._ids = {str(name): int(id) for name, id in found["ids"].items()}

    def _write(self, file: Path) -> None:
        text = json.dumps({"url": self._url, "schemas": self._schemas, "ids": self._ids}, indent=1)
        try:
            with tempfile.NamedTemporaryFile("w", dir=file.parent, encoding="utf-8", delete=False) as new:
                new.write(text)
            os.replace(new.name, file)  # whole or not at all: several processes may share it
        except OSError as error:
            raise ConfigurationError(f"DICOMCAST_REGISTRY__CACHE_FILE={file}: {error.strerror}") from None


def _name(subject: str, schema_json: str) -> str:
    return f"{subject} {hashlib.sha256(schema_json.encode()).hexdigest()}"
