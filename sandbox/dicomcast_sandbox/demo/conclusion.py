"""The end of the demo: what is in FHIR, the dead letter, and where to look further."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dicomcast_schemas.topic import dead_letter_topic

from dicomcast_sandbox.demo.fhir_peer import Snapshot
from dicomcast_sandbox.demo.report import Report
from dicomcast_sandbox.demo.story import Story
from dicomcast_sandbox.demo.wiring import Wiring

__all__ = ["conclude", "who_is_real"]

_MOCK: Final = "stand-in: librdkafka's mock cluster; it proves nothing about exactly-once"
_STAND_IN: Final = "stand-in of dicomcast-sandbox, in memory"
_REAL: Final = "yours"
_COMMANDS: Final = (
    "dicomcast-consumer status",
    "dicomcast-consumer dlq list",
    "dicomcast-consumer replay plan --to earliest",
    "dicomcast-producer cursor show",
)


def who_is_real(wiring: Wiring, pids: Mapping[str, int]) -> list[tuple[str, str, str]]:
    """A row for each part of the line: what it is, where, and whether it is a stand-in."""
    options = wiring.options
    return [
        ("DICOM server", wiring.dicomweb_url, _STAND_IN if options.dicomweb_url is None else _REAL),
        ("producer", f"process {pids['producer']}", "the real one: dicomcast-producer run"),
        ("Kafka", wiring.bootstrap_servers, _MOCK if options.bootstrap_servers is None else _REAL),
        ("consumer", f"process {pids['consumer']}", "the real one: dicomcast-consumer run"),
        ("FHIR server", wiring.fhir_url, _STAND_IN if options.fhir_url is None else _REAL),
    ]


def conclude(report: Report, story: Story, snapshot: Snapshot, wiring: Wiring, run_dir: Path) -> None:
    """Writes the table of studies, the dead letter and the ways to look further."""
    options = wiring.options
    report.line()
    report.studies(snapshot, story.uids, show_patients=options.show_patients)
    report.line()
    report.title(
        f"Dead letters in {dead_letter_topic(wiring.topic, wiring.group)}: one event, rejected again by the replay"
    )
    for text in story.letters:
        report.line(text)
    report.line()
    report.title("To look further")
    report.table(_urls(wiring))
    if options.keep:
        report.line(f"  . {_env_file(wiring, run_dir)}; PATH={Path(sys.executable).parent}:$PATH")
        report.line(f"  logs: {run_dir}")
    else:
        report.line("  with --keep everything keeps running, and these show more:")
    for command in _COMMANDS:
        report.line(f"  {command}")
    _left_behind(report, wiring)


def _urls(wiring: Wiring) -> list[tuple[str, str]]:
    """What answers after the end of the demo, or while it is kept."""
    options = wiring.options
    urls = [("change feed", f"{wiring.change_feed_url}/v1/changefeed", options.dicomweb_url)]
    if options.dicomweb_url is None:
        urls.append(("DICOM server, for people", f"{wiring.change_feed_url}/", None))
    urls.append(("studies in FHIR", f"{wiring.fhir_url}/ImagingStudy", options.fhir_url))
    if options.fhir_url is None:
        urls.append(("FHIR server, for people", wiring.fhir_url.removesuffix("fhir"), None))
    return [(name, url) for name, url, given in urls if given is not None or options.keep]


def _env_file(wiring: Wiring, run_dir: Path) -> Path:
    """The settings of the line for a shell, without a secret."""
    path = run_dir / "demo.env"
    values = {**wiring.variables(), **wiring.variables_of_consumer()}
    path.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))
    return path


def _left_behind(report: Report, wiring: Wiring) -> None:
    """What stays on servers that are a person's own."""
    options = wiring.options
    if options.bootstrap_servers is not None:
        report.line(f"  left in Kafka: the topics {wiring.topic}, {wiring.topic}.* and the group {wiring.group}")
    if options.dicomweb_url is not None:
        report.line(f"  left on the DICOM server: the studies above (PatientIDs {wiring.run}-…), one without PatientID")
    if options.fhir_url is not None:
        report.line("  left on the FHIR server: the resources above")
