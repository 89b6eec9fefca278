"""deploy/kubernetes: valid objects, settings that both processes take, and the promises that its comments make."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.settings import load_settings

ROOT = Path(__file__).parents[3] / "deploy" / "kubernetes"
KUSTOMIZATION: dict[str, Any] = yaml.safe_load((ROOT / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    found for name in KUSTOMIZATION["resources"] for found in yaml.safe_load_all((ROOT / name).read_text())
]
BY_NAME = {f"{found['kind']}/{found['metadata']['name']}": found for found in OBJECTS}
WORKLOADS = [found for found in OBJECTS if found["kind"] in ("Deployment", "Job")]


def _settings() -> dict[str, str]:
    lines = (ROOT / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def _pod(workload: dict[str, Any]) -> dict[str, Any]:
    return dict(workload["spec"]["template"]["spec"])


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_every_object_is_what_the_api_takes(name: str) -> None:
    kubernetes_validate.validate(BY_NAME[name], "1.31", strict=True)


def test_kustomize_builds_it() -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed (not needed to work on dicomcast)")
    built = subprocess.run([kubectl, "kustomize", str(ROOT)], capture_output=True, text=True, check=True)
    found = list(yaml.safe_load_all(built.stdout))
    assert len(found) == len(OBJECTS) + 1
    for each in found:
        kubernetes_validate.validate(each, "1.31", strict=True)


def test_both_processes_take_the_settings() -> None:
    assert load_settings(ProducerSettings, environ=_settings()).feed.name == "main"
    assert "main" in load_settings(ConsumerSettings, environ=_settings()).sources


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda found: str(found["metadata"]["name"]))
def test_pods_are_not_root_and_write_nowhere(workload: dict[str, Any]) -> None:
    pod = _pod(workload)
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert "limits" in container["resources"]


def test_there_is_one_producer_and_it_is_recreated() -> None:
    spec = BY_NAME["Deployment/dicomcast-producer"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize(("process", "settings"), [("producer", ProducerSettings), ("consumer", ConsumerSettings)])
def test_pods_get_more_time_to_end_than_their_drain_takes(process: str, settings: Any) -> None:
    loaded = load_settings(settings, environ=_settings())
    grace_s = _pod(BY_NAME[f"Deployment/dicomcast-{process}"])["terminationGracePeriodSeconds"]
    assert grace_s >= getattr(loaded, process).drain_s + 15


@pytest.mark.parametrize("process", ["producer", "consumer"])
def test_probes_ask_the_port_that_is_set(process: str) -> None:
    (container,) = _pod(BY_NAME[f"Deployment/dicomcast-{process}"])["containers"]
    paths = {kind: container[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/startupz", "liveness": "/livez", "readiness": "/readyz"}
    assert container["ports"] == [{"name": "http", "containerPort": 9580}]
    assert _settings()["DICOMCAST_HTTP__LISTEN"].endswith(":9580")


def test_the_disruption_budget_is_the_consumers() -> None:
    budget = BY_NAME["PodDisruptionBudget/dicomcast-consumer"]["spec"]
    assert budget["selector"] == BY_NAME["Deployment/dicomcast-consumer"]["spec"]["selector"]
    assert budget["maxUnavailable"] == 1
