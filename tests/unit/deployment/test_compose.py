"""docker-compose.yml and Dockerfile fit the project; nobody here can start them, so what can be held is held."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.settings import load_settings

ROOT = Path(__file__).parents[3]
SECRETS = {"ORTHANC_PASSWORD": "an orthanc password", "POSTGRES_PASSWORD": "a postgres password"}
REFERENCE = re.compile(r"\$\{(\w+):\?[^}]*\}")


def _compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))


def _environment(service: str) -> dict[str, str]:
    written = _compose()["services"][service]["environment"]
    return {name: REFERENCE.sub(lambda found: SECRETS[found[1]], value) for name, value in written.items()}


def test_the_producer_takes_its_settings() -> None:
    settings = load_settings(ProducerSettings, environ=_environment("producer"))
    assert settings.feed.auth.password is not None
    assert settings.feed.auth.password.get_secret_value() == SECRETS["ORTHANC_PASSWORD"]


def test_the_consumer_takes_the_same_settings() -> None:
    assert _environment("consumer") == _environment("producer") == _environment("topics-setup")
    settings = load_settings(ConsumerSettings, environ=_environment("consumer"))
    assert _environment("producer")["DICOMCAST_FEED__NAME"] in settings.sources


def test_no_secret_is_written_down() -> None:
    for name, service in _compose()["services"].items():
        for setting, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN|USERS", setting, re.IGNORECASE):
                assert REFERENCE.search(value), f"{name}: {setting}"


def test_everything_that_keeps_something_has_a_volume_and_ports_are_this_machines() -> None:
    services = _compose()["services"]
    assert {name for name in services if services[name].get("volumes")} == {"kafka", "orthanc", "postgres"}
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", ["kafka", "registry", "orthanc", "postgres"])
def test_servers_have_a_health_check(name: str) -> None:
    assert _compose()["services"][name]["healthcheck"]["test"][0] == "CMD"


def test_the_image_is_given_every_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(package.split("/")[0] for package in packages)
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    assert [room for room in copied if f"!{room}" not in allowed] == []


def test_the_image_does_not_run_as_root() -> None:
    user = re.findall(r"^USER (\d+):\d+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert user
    assert int(user[-1]) > 0


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="no docker-compose (Debian: apt-get install it)")
def test_docker_compose_accepts_it_only_with_the_secrets() -> None:
    command = ["docker-compose", "--file", str(ROOT / "docker-compose.yml"), "config", "--quiet"]
    plain = {name: value for name, value in os.environ.items() if name not in SECRETS}
    assert subprocess.run(command, env={**plain, **SECRETS}, capture_output=True, check=False).returncode == 0
    without = subprocess.run(command, env=plain, cwd="/", capture_output=True, text=True, check=False)
    assert without.returncode != 0
    assert "set it in .env" in without.stderr
