"""What every test may use: the real servers (tests/services/fixtures.py)."""

pytest_plugins = ["tests.services.fixtures"]
