"""One row of the table, and the file of each part that keeps its rows."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["RESULTS", "Row", "load", "save"]

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A ratio, what is to be reached, and what it was made of."""

    name: str
    ratio: float
    unit: str
    """What the ratio is: "of the limit", "× the original"."""
    reach: str = ""
    """What issue 7 asks for, such as ">= 0.7"; empty where it asks for nothing."""
    measured: dict[str, Any] = field(default_factory=dict)
    """By contestant: rates, requests, bytes, CPU seconds, memory."""

    @property
    def is_reached(self) -> bool | None:
        """None when there is nothing to reach."""
        if not self.reach:
            return None
        relation, bound = self.reach.split()
        return self.ratio >= float(bound) if relation == ">=" else self.ratio <= float(bound)


def save(part: str, rows: Sequence[Row], *, folder: Path, quick: bool) -> Path:
    """Writes the part's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    content = {
        "part": part,
        "quick": quick,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def load(part: str, folder: Path) -> tuple[dict[str, Any], list[Row]] | None:
    """The part's file and its rows; None when it was not measured."""
    path = folder / f"{part}.json"
    if not path.exists():
        return None
    content = json.loads(path.read_text(encoding="utf-8"))
    return content, [Row(**row) for row in content["rows"]]


def _machine() -> dict[str, Any]:
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }
