"""The observability profile of docker-compose.yml: Prometheus finds both processes, Grafana the dashboard."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

from tests.unit.deployment.test_alerts import GROUP

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text())
PROVISIONING = ROOT / "deploy" / "grafana" / "provisioning"


def _mounts(service: str) -> dict[str, Path]:
    """Where in the container → what of the project."""
    mounted = (volume.split(":") for volume in COMPOSE[service]["volumes"])
    return {mount[1]: ROOT / mount[0] for mount in mounted if mount[0].startswith("./")}


def test_it_is_not_started_unless_asked_for() -> None:
    profiles = {name: service["profiles"] for name, service in COMPOSE.items() if "profiles" in service}
    assert profiles == {"prometheus": ["observability"], "grafana": ["observability"]}
    needed = {
        name for service in COMPOSE.values() if "profiles" not in service for name in service.get("depends_on", {})
    }
    assert needed.isdisjoint(profiles)


def test_prometheus_asks_every_container_of_both_processes_at_the_port_of_the_image() -> None:
    (listen,) = re.findall(r"DICOMCAST_HTTP__LISTEN=\S+:(\d+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    for process in ("producer", "consumer"):
        assert "DICOMCAST_HTTP__LISTEN" not in COMPOSE[process]["environment"]
    targets = {
        each["job_name"]: [(found["names"], found["type"], found["port"]) for found in each["dns_sd_configs"]]
        for each in PROMETHEUS["scrape_configs"]
    }
    assert targets == {process: [([process], "A", int(listen))] for process in ("producer", "consumer")}


def test_prometheus_is_started_with_the_configuration_and_the_rules() -> None:
    (named,) = (
        word.removeprefix("--config.file=")
        for word in COMPOSE["prometheus"]["command"]
        if word.startswith("--config.file=")
    )
    folder = _mounts("prometheus")[str(Path(named).parent)]
    assert yaml.safe_load((folder / Path(named).name).read_text()) == PROMETHEUS
    rules = [yaml.safe_load((folder / name).read_text())["groups"] for name in PROMETHEUS["rule_files"]]
    assert rules == [[GROUP]]


def test_grafana_has_prometheus_and_the_dashboard() -> None:
    mounts = _mounts("grafana")
    assert mounts["/etc/grafana/provisioning"] == PROVISIONING
    (source,) = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"] is True
    assert source["jsonData"]["timeInterval"] == PROMETHEUS["global"]["scrape_interval"]
    (provider,) = yaml.safe_load((PROVISIONING / "dashboards" / "dicomcast.yaml").read_text())["providers"]
    home = Path(COMPOSE["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    dashboard = json.loads(mounts[str(home)].read_text(encoding="utf-8"))
    (variable,) = dashboard["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", source["type"])


def test_nobody_can_sign_in_to_grafana_with_its_well_known_password() -> None:
    settings = COMPOSE["grafana"]["environment"]
    assert settings["GF_AUTH_BASIC_ENABLED"] == "false"
    assert settings["GF_AUTH_DISABLE_LOGIN_FORM"] == "true"
    assert settings["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
