"""Whether the dead-letter topic can take every letter and keeps it: what its configuration says. Pure."""

from collections.abc import Mapping
from typing import Final

from dicomcast_runtime.errors import ConfigurationError

__all__ = ["check_room", "doubts"]

_HEADER_ROOM: Final = 65_536
_FOR_EVER: Final = "-1"


def check_room(letters: str, config: Mapping[str, str], *, events: Mapping[str, str]) -> None:
    """Raises ConfigurationError when a letter might not fit, or letters of one study would replace each other."""
    if "compact" in config.get("cleanup.policy", ""):
        raise ConfigurationError(
            f"{letters} has cleanup.policy={config['cleanup.policy']}: letters of one study would replace each other. "
            "`dicomcast-producer topics apply` corrects it"
        )
    room, largest = _bytes(config), _bytes(events)
    if room is not None and largest is not None and room < largest:
        raise ConfigurationError(
            f"{letters} has max.message.bytes={room} and the topic of changes {largest}: a letter of a large record "
            "would be refused and stop its partition. `dicomcast-producer topics apply` corrects it"
        )


def doubts(config: Mapping[str, str], *, events: Mapping[str, str]) -> dict[str, str]:
    """Property → value of what may lose a letter or stop a partition one day."""
    found = {
        name: config[name]
        for name in ("retention.ms", "retention.bytes")
        if name in config and config[name] != _FOR_EVER
    }
    room, largest = _bytes(config), _bytes(events)
    if room is not None and largest is not None and room < largest + _HEADER_ROOM:
        found["max.message.bytes"] = str(room)
    return found


def _bytes(config: Mapping[str, str]) -> int | None:
    text = config.get("max.message.bytes", "")
    return int(text) if text.isdecimal() else None
