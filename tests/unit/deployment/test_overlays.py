"""The overlays of deploy/README.md build as they stand there, and change what they say."""

import re
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[3]
OVERLAYS = [
    dedent(block)
    for block in re.findall(
        r"^    # kustomization.yaml\n((?:(?:    .*)?\n)+)", (ROOT / "deploy" / "README.md").read_text(), re.MULTILINE
    )
]


@pytest.fixture(params=OVERLAYS, ids=["kubernetes", "strimzi"])
def built(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An overlay, and the objects that it makes."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed (not needed to work on dicomcast)")
    (tmp_path / "dicomcast").symlink_to(ROOT)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "kustomization.yaml").write_text(request.param)
    made = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    return yaml.safe_load(request.param), list(yaml.safe_load_all(made.stdout))


def test_an_overlay_changes_what_it_says(built: tuple[dict[str, Any], list[dict[str, Any]]]) -> None:
    overlay, objects = built
    assert {each["metadata"]["namespace"] for each in objects} == {overlay["namespace"]}
    (settings,) = (each["data"] for each in objects if each["kind"] == "ConfigMap")
    literals = dict(each.split("=", 1) for each in overlay["configMapGenerator"][0]["literals"])
    assert literals.items() <= settings.items()
    core = [each for each in objects if "strimzi" not in each["apiVersion"]]
    for each in core:
        kubernetes_validate.validate(each, "1.31", strict=True)
    pods = [each["spec"]["template"]["spec"] for each in core if "template" in each.get("spec", {})]
    assert {pod["containers"][0]["image"] for pod in pods} == {"registry.example.org/dicomcast:0.1.0"}
    if core != objects:
        strimzi = [each for each in objects if each not in core]
        assert {each["metadata"]["labels"]["strimzi.io/cluster"] for each in strimzi} == {"imaging"}
        assert "my-cluster" not in yaml.safe_dump(objects)


def test_a_budget_and_a_deployment_select_the_pods_of_dicomcast_alone(
    built: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    _, objects = built
    selectors = [each["spec"]["selector"]["matchLabels"] for each in objects if "selector" in each.get("spec", {})]
    assert len(selectors) == 3
    for selector in selectors:
        assert selector["app.kubernetes.io/name"] == "dicomcast"
        assert any(
            selector.items() <= each["spec"]["template"]["metadata"]["labels"].items()
            for each in objects
            if each["kind"] == "Deployment"
        )
