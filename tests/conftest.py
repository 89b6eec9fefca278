"""What every test may use: the real servers (tests/services) and the sandbox's (tests/fakes)."""

pytest_plugins = ["tests.services.fixtures", "tests.fakes.fixtures"]
