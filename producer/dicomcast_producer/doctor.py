"""`dicomcast-producer doctor`: everything that `run` needs, looked at one by one, before it runs or while it does.

The checks are those of the start (`topic_check`, `cursor`, `change_feed`), asked one at a time. Nothing is written: no
record, no cursor, no schema, no producer is fenced, and no topic is made by asking for it.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from dicomcast_runtime.doctor import Check
from dicomcast_runtime.doctor_report import run_doctor, settings_check
from dicomcast_runtime.registry_look import for_registering, registry_checks

from .config import ProducerSettings
from .doctor_feed import FeedChecks
from .doctor_kafka import KafkaChecks

__all__ = ["run_producer_doctor"]


def run_producer_doctor(*, config: Path | None, json: bool) -> None:
    """Makes and prints the checks. Raises typer.Exit."""

    def checks(settings: ProducerSettings, stack: contextlib.AsyncExitStack) -> Iterator[Check]:
        kafka = KafkaChecks(settings)
        yield settings_check((), config=config)
        yield from kafka.checks()
        yield from registry_checks(settings.registry, settings.topic.name, for_registering)
        yield from FeedChecks(settings.feed, stack, cursor=lambda: kafka.cursor).checks()

    run_doctor("dicomcast-producer doctor", ProducerSettings, checks, config=config, json=json)
