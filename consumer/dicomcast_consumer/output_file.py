"""Files that a command line names to be written to: looked at before the work, so that it is not done for nothing."""

import errno
import os
from pathlib import Path

from dicomcast_runtime.errors import ConfigurationError

__all__ = ["require_writable", "write_file"]


def require_writable(option: str, path: Path) -> None:
    """Raises ConfigurationError naming the option when the file can neither be written nor made. Makes nothing."""
    fault = _fault(path)
    if fault is not None:
        raise ConfigurationError(f"{option} {path}: {os.strerror(fault)}")


def write_file(option: str, path: Path, content: bytes) -> None:
    """Raises ConfigurationError naming the option."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}") from None


def _fault(path: Path) -> int | None:
    if os.path.isdir(path):
        return errno.EISDIR
    held = path if os.path.exists(path) else path.parent
    if not os.path.exists(held):
        return errno.ENOENT
    return None if os.access(held, os.W_OK) else errno.EACCES
