"""deploy/prometheus: rules over metrics that exist, each with what to do, tried by promtool where there is one."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from dicomcast_producer.metrics import ProducerMetrics

from tests.unit.test_metrics_reference import consumer_registry, rows

FOLDER = Path(__file__).parents[3] / "deploy" / "prometheus"
GROUP: dict[str, Any] = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]
KNOWN = {
    name
    for registry in (ProducerMetrics().registry, consumer_registry())
    for row in rows(registry)
    for name in re.findall(r"`(\w+)", row)
}


@pytest.mark.parametrize("rule", GROUP["rules"], ids=lambda rule: str(rule["alert"]))
def test_a_rule_is_over_metrics_that_exist_and_says_what_to_do(rule: dict[str, Any]) -> None:
    named = set(re.findall(r"\bdicomcast_\w+", rule["expr"]))
    assert named
    assert named <= KNOWN
    assert rule["labels"]["severity"] in ("info", "warning", "critical")
    assert len(rule["annotations"]["action"]) > 40


def test_promtool_accepts_the_configuration_the_rules_and_their_tests() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: package prometheus); not needed to work on dicomcast")
    for arguments in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run([promtool, *arguments], cwd=FOLDER, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
