"""The four radiation dose reports, of two makers, in the source distribution of pyskindose (MIT): fetched by pip."""

import json
import os
import subprocess
import sys
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomcast_consumer.map_input_dicom import data_set_json
from dicomcast_consumer.mapping import MappingOptions, Outcome, read_event, validate_new
from dicomcast_schemas import Action, DicomChangeEvent, State

from tests.unit.mapping.scene import PROFILE, Scene, event

DOSE = MappingOptions(observations="dose")
SOURCE = "pyskindose==25.1.1"
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "dicomcast-tests" / SOURCE
EVENTS = {
    "philips_allura_clarity_u104.dcm": 25,
    "philips_allura_clarity_u601.dcm": 29,
    "siemens_axiom_artis.dcm": 21,
    "siemens_axiom_example_procedure.dcm": 24,
}
"""Irradiation events of each."""


@pytest.fixture(scope="module")
def folder() -> Path:
    """Where the reports are. Without a network the tests are skipped; in CI they fail."""
    if not all((CACHE / name).exists() for name in EVENTS):
        CACHE.mkdir(parents=True, exist_ok=True)
        fetch = [sys.executable, "-m", "pip", "download", "--no-binary", ":all:", "--no-deps", "-q", "-d", str(CACHE)]
        done = subprocess.run([*fetch, SOURCE], capture_output=True, text=True, timeout=300, check=False)
        archives = list(CACHE.glob("*.tar.gz"))
        if done.returncode or not archives:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"pip cannot fetch {SOURCE}")
        with tarfile.open(archives[0]) as archive:
            for member in archive.getmembers():
                name = Path(member.name).name
                content = archive.extractfile(member) if name in EVENTS else None
                if content is not None:
                    (CACHE / name).write_bytes(content.read())
    return CACHE


def read(path: Path, action: Action = Action.CREATE) -> DicomChangeEvent:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path, force=True)
        metadata = json.dumps(data_set_json(data_set))
    study, series, instance = (str(data_set[f"{level}InstanceUID"].value) for level in ("Study", "Series", "SOP"))
    state = State.DELETED if action is Action.DELETE else State.CURRENT
    uids: dict[str, Any] = {"study": study, "series": series, "instance": instance}
    return event(
        2 if action is Action.DELETE else 1,
        action=action,
        state=state,
        metadata=None if action is Action.DELETE else metadata,
        **uids,
    )


@pytest.mark.parametrize("name", EVENTS)
def test_a_real_report(folder: Path, name: str) -> None:
    one = read(folder / name)
    scene = Scene(options=DOSE)
    assert scene.send(one).outcome is Outcome.CREATE
    assert len(scene.observations) == 1 + EVENTS[name]
    summary = scene.observations[one.sop_instance_uid]
    assert len(summary["hasMember"]) == EVENTS[name]
    for observation in scene.observations.values():
        validate_new(observation)
        assert observation["component"], "each event has a dose"
        assert all(c["valueQuantity"]["code"] for c in observation["component"] if "valueQuantity" in c)
    found = read_event(one, profile=PROFILE, options=DOSE)
    assert {omission.reason for omission in found.omissions} <= {"offset_unknown", "code_system_unknown"}
    writes = scene.writes
    scene.send(one)
    assert scene.writes == writes
    scene.send(read(folder / name, Action.DELETE))
    assert (scene.study, scene.observations) == (None, {})


def test_a_biplane_system_has_the_totals_of_both_planes(folder: Path) -> None:
    one = read(folder / "philips_allura_clarity_u104.dcm")
    scene = Scene(options=DOSE)
    scene.send(one)
    names = [c["code"]["text"] for c in scene.observations[one.sop_instance_uid]["component"]]
    assert "Dose Area Product Total (Plane A)" in names
    assert "Dose Area Product Total (Plane B)" in names
    assert len(names) == len(set(names)) == 18
