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
    keeping = {volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert {name for name in keeping if not name.startswith("./")} == {"kafka", "orthanc", "postgres", "prometheus"}
    assert set(_compose()["volumes"]) == {"kafka", "orthanc", "postgres", "prometheus"}
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_every_image_has_its_version_and_every_file_that_is_mounted_exists() -> None:
    for name, service in _compose()["services"].items():
        assert re.fullmatch(r"\S+:(local|v?\d[\w.-]*)", service["image"]), name
        mounted = [volume.split(":") for volume in service.get("volumes", []) if volume.startswith("./")]
        assert [path for path, _, mode in mounted if mode != "ro" or not (ROOT / path).exists()] == [], name


@pytest.mark.parametrize("name", ["kafka", "registry", "orthanc", "postgres", "prometheus"])
def test_servers_have_a_health_check(name: str) -> None:
    assert _compose()["services"][name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", ["producer", "consumer"])
def test_health_is_asked_at_the_port_of_the_image(name: str) -> None:
    port = re.findall(r"^EXPOSE (\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
    *_, code = _compose()["services"][name]["healthcheck"]["test"]
    assert f"http://127.0.0.1:{port}/readyz" in code
    compile(code, name, "exec")


def test_no_container_of_this_project_writes_or_gains_rights() -> None:
    own = {name: each for name, each in _compose()["services"].items() if each["image"] == "dicomcast:local"}
    assert {"topics-setup", "producer", "consumer"} <= own.keys()
    for name, service in own.items():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert "no-new-privileges:true" in service["security_opt"], name


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
    done = subprocess.run(command, env={**plain, **SECRETS}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    without = subprocess.run(command, env=plain, cwd="/", capture_output=True, text=True, check=False)
    assert without.returncode != 0
    assert "set it in .env" in without.stderr
