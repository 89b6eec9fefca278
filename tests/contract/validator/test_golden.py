"""Every resource that a golden case expects is valid R4."""

import json
from pathlib import Path

import pytest

from tests.contract.validator.verdicts import faults
from tests.services.judge import Validator

CASES = Path(__file__).parents[2] / "data" / "mapping"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())


@pytest.mark.parametrize("name", NAMES)
def test_the_expected_resources(validator: Validator, name: str) -> None:
    files = sorted((CASES / name / "expected").glob("*.json"))
    found = [json.loads(path.read_text(encoding="utf-8")) for path in files if path.name != "report.json"]
    assert faults(validator, found) == set()
