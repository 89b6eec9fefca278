"""Radiation dose reports, real and damaged, become valid Observations, also beside every other choice."""

import json
from pathlib import Path
from typing import Any

import pytest
from dicomcast_consumer.mapping import MappingOptions
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contract.validator.choices import everything
from tests.contract.validator.verdicts import faults
from tests.services.judge import Validator
from tests.unit.mapping import test_dose_files, test_dose_properties
from tests.unit.mapping.scene import Scene, event

folder = test_dose_files.folder
OPTIONS = [MappingOptions(observations="dose"), everything()]


def _resources(scene: Scene) -> list[dict[str, Any]]:
    return [scene.imaging_study, *scene.patients.values(), *scene.observations.values()]


@pytest.mark.parametrize("name", test_dose_files.EVENTS)
def test_real_reports(validator: Validator, folder: Path, name: str) -> None:
    scene = Scene(options=everything())
    scene.send(test_dose_files.read(folder / name))
    assert len(scene.observations) > 1
    assert faults(validator, _resources(scene)) == set()


@settings(max_examples=20, deadline=None)
@given(test_dose_properties.damaged(), st.sampled_from(OPTIONS))
def test_damaged_reports(validator: Validator, metadata: dict[str, Any], options: MappingOptions) -> None:
    scene = Scene(options=options)
    scene.send(event(1, metadata=json.dumps(metadata)))
    assert faults(validator, _resources(scene)) == set()
