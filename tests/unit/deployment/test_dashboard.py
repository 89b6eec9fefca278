"""deploy/grafana: a dashboard over metrics that exist, each panel with its explanation."""

import json
import re
from pathlib import Path
from typing import Any

from tests.unit.deployment.test_alerts import KNOWN

DASHBOARD: dict[str, Any] = json.loads(
    (Path(__file__).parents[3] / "deploy" / "grafana" / "dicomcast.json").read_text(encoding="utf-8")
)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def test_every_panel_asks_for_metrics_that_exist_and_explains_itself() -> None:
    assert len(PANELS) > 15
    for panel in PANELS:
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            named = re.findall(r"\bdicomcast_\w+", target["expr"])
            assert named
            assert {re.sub(r"_(bucket|count|sum)$", "", name) for name in named} <= KNOWN, panel["title"]


def test_panels_do_not_overlap() -> None:
    places: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places, panel["title"]
        places |= cells
