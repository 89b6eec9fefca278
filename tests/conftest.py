"""What every test may use: the real servers (tests/services) and the sandbox's (tests/fakes)."""

from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.services.fixtures", "tests.fakes.fixtures"]

# A slow machine is no defect.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


_configure = structlog.configure


def _configure_uncached(**given: Any) -> None:
    _configure(**{**given, "cache_logger_on_first_use": False})


# A command that runs in this process sets up the log of its own standard error, which is closed after it: a logger that
# kept that would fail in whatever test uses it next.
structlog.configure = _configure_uncached


@pytest.fixture(autouse=True)
def log_of_its_own() -> Iterator[None]:
    """What a test makes of the log ends with it."""
    yield
    structlog.reset_defaults()
