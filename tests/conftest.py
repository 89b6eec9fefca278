"""What every test may use: the real servers (tests/services) and the sandbox's (tests/fakes)."""

from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.services.fixtures", "tests.fakes.fixtures"]

# A slow machine is no defect.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
