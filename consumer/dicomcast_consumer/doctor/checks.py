"""All checks of `dicomcast-consumer doctor`, in their order."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dicomcast_runtime.doctor import Check
from dicomcast_runtime.doctor_report import run_doctor, settings_check
from dicomcast_runtime.registry_look import for_reading, registry_checks

from ..config import ConsumerSettings
from ..parts import bare_patient_ids
from .fhir import FhirChecks
from .kafka import KafkaChecks
from .sources import source_checks

__all__ = ["run_consumer_doctor"]


def run_consumer_doctor(*, config: Path | None, json: bool) -> None:
    """Makes and prints the checks. Raises typer.Exit."""

    def checks(settings: ConsumerSettings, stack: contextlib.AsyncExitStack) -> Iterator[Check]:
        yield settings_check(tuple(_doubts(settings)), config=config)
        yield from KafkaChecks(settings).checks()
        yield from registry_checks(settings.registry, settings.topic.name, for_reading)
        yield from FhirChecks(settings, stack).checks()
        yield from source_checks(settings, stack)

    run_doctor("dicomcast-consumer doctor", ConsumerSettings, checks, config=config, json=json)


def _doubts(settings: ConsumerSettings) -> Iterator[str]:
    bare = bare_patient_ids(settings)
    if bare:
        yield (
            f"PatientIDs of {', '.join(bare)} have no system, so those of two sites collide: set "
            "DICOMCAST_MAPPING__PATIENT__SYSTEM, or patient_system of the source"
        )
