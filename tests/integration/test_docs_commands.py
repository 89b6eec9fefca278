"""The commands of the documents, run: the quick start from a wheel in a new environment, the others on a real Kafka.

Those of dead-letters.md, security.md and mapping.md have tests of their own. Not run: what installs, what needs a
platform (kubectl), and Maven (tests/integration/test_readers.py runs it).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from dicomcast_sandbox.demo.files import demo_files

from tests.documents.check import exported
from tests.documents.running import Shell, lines, shell, shows, steps, without_settings
from tests.documents.shell import ROOT, Block, blocks, commands
from tests.fakes.dicom_server import dicom_server
from tests.fakes.events import create
from tests.fakes.fhir_server import fhir_server
from tests.fakes.processes import Line, eventually
from tests.integration.consumer.test_group import done, produce, studies
from tests.services.peers import OrthancServer

DOCS = ROOT / "docs"
PAGES = (
    ROOT / "README.md",
    *(
        DOCS / f"{name}.md"
        for name in (
            *("connect-kafka", "connect-fhir", "connect-dicom", "reuse-stream", "replay", "upgrade"),
            *("migrate-from-dicom-cast", "troubleshooting", "web"),
        )
    ),
)
NOT_RUN = {"make", "pip", "kubectl", "apt-get", "cp", "mvn"}
STARTED = {
    ("dicomcast-producer", "run"): "producer.started",
    ("dicomcast-consumer", "run"): "partitions.assigned",
    ("dicomcast-consumer", "web"): "http://127.0.0.1",
}
"""What runs until it is told to end, and what it has written once it is at work."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


# ---- quick-start.md


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_quick_start_from_a_wheel(tmp_path: Path) -> None:
    """`pip install 'dicomcast[sandbox]'` stands for the wheel of this tree, everything else is as it stands there."""
    wheel = built_wheel(tmp_path / "wheel")
    put = {
        "pip install 'dicomcast[": f"pip install -q -c '{ROOT / 'constraints.txt'}' '{wheel}[",
        "8080": str(free_port()),
        "8081": str(free_port()),
    }
    found = steps(DOCS / "quick-start.md")
    assert sum(put_in(block.text, put) != block.text for block, _ in found) > 4
    folder = tmp_path / "person"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    path = os.pathsep.join([str(folder / "bin"), without_the_tests_environment()])
    with shell(folder, {**without_settings(), "PATH": path}) as person:
        for block, expected in found:
            follow(person, put_in(block.text, put), expected and put_in(expected.text, put))
        assert person.run("which dicomcast-consumer").startswith(f"{folder}/")
    assert '"resourceType":"ImagingStudy"' in (folder / "bundle.json").read_text().replace(" ", "")


def follow(person: Shell, text: str, expected: str | None) -> None:
    """Types the block; where the document says what is printed, again until that is."""
    if expected is None:
        person.run(text)
        return
    printed = ""

    def is_shown() -> bool:
        nonlocal printed
        printed = person.look(text)
        return shows(printed, expected)

    eventually(is_shown, lambda: f"{text}prints\n{printed[-4000:]}\nand not\n{expected}", within_s=120)


def built_wheel(folder: Path) -> Path:
    """The wheel of this tree. Building takes packages from an index: without one the test is skipped, not so in CI."""
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-deps", "-w", str(folder)]
    built = subprocess.run([*pip, str(ROOT)], capture_output=True, text=True, timeout=600, check=False)
    if built.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip(f"no wheel could be built: {built.stderr[-300:]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("dicomcast-*.whl")
    return wheel


def without_the_tests_environment() -> str:
    """PATH without the folder that this Python's own commands are in."""
    own = str(Path(sys.executable).parent)
    return os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if part != own)


def put_in(text: str, put: dict[str, str]) -> str:
    for what, value in put.items():
        text = text.replace(what, value)
    return text


# ---- the other pages


@dataclass(frozen=True, kw_only=True)
class Site:
    """A hospital whose FHIR server has what its DICOM server has, and a folder of a person."""

    line: Line
    folder: Path
    env: dict[str, str]
    put: dict[str, str]
    port: int
    """The one that the documents call 9580."""


@pytest.fixture(scope="module")
def site(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("person")
    files = demo_files("docs").first
    with dicom_server() as dicom, fhir_server() as fhir:
        line = Line(
            bootstrap=kafka,
            env={
                "DICOMCAST_FEED__NAME": "main",
                "DICOMCAST_FEED__URL": dicom.base_url,
                "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": dicom.dicomweb_url,
                "DICOMCAST_FHIR__URL": fhir.base_url,
                "DICOMCAST_WEB__LISTEN": "127.0.0.1:0",
            },
        )
        line.create_topics()
        (folder / "studies").mkdir()
        for number, file in enumerate(files):
            (folder / "studies" / f"{number:02}.dcm").write_bytes(file.content)
            headers = {"Content-Type": "application/dicom"}
            httpx.post(f"{dicom.dicomweb_url}/studies", content=file.content, headers=headers).raise_for_status()
        (folder / "image.dcm").write_bytes(files[0].content)
        with line.producer() as producer, line.consumer() as member:
            producer.wait_for("feed.caught_up")
            eventually(line.caught_up, lambda: member.text, member)
            assert (producer.stop(), member.stop()) == (0, 0)
        port = free_port()
        env = {**without_settings(), **line.env, "PATH": tools(folder)}
        put = {
            "http://dicom-server:8080": dicom.base_url,
            "https://dicom-server": dicom.base_url,
            "https://fhir.example.org/fhir": fhir.base_url,
            "https://new-fhir.example.org/fhir": fhir.base_url,
            "localhost:9092": kafka,
            "kafka:9092": kafka,
            "dicom.changes.v1": line.topic,
            "--group dicomcast-consumer": f"--group {line.group}",
            "my-group": f"{line.group}.reader",
            "dicomcast-new-fhir": f"{line.group}.new",
            "1.2.826.0.1.3680043.8.498.1": files[0].study,
            "127.0.0.1:9580": f"127.0.0.1:{port}",
        }
        made = Site(line=line, folder=folder, env=env, put=put, port=port)
        run(
            made,
            "dicomcast-consumer map studies/ --source-url https://pacs.example.org/dicom-web > bundle-old.json",
            {},
        )
        yield made


def tools(folder: Path) -> str:
    """PATH of a person: our commands and Kafka's own tool. The folder has the examples, as a checkout does."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    script = (
        f'#!/usr/bin/env bash\nset -e\n. "{ROOT}/tests/services/common.sh"\n'
        'exec "$(find_java 17)" -XX:TieredStopAtLevel=1 -cp "$KAFKA/libs/*" '
        'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand "$@"\n'
    )
    (bin_folder / "kafka-consumer-groups").write_text(script)
    (bin_folder / "kafka-consumer-groups").chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")
    return os.pathsep.join([str(bin_folder), str(Path(sys.executable).parent), os.environ["PATH"]])


def programs(block: Block, line: str) -> list[tuple[str, ...]]:
    one = Block(document=block.document, line=block.line, language="sh", text=line)
    return [command.words for command in commands(one) if command.words]


def runs(block: Block) -> list[str]:
    """The lines of a block that can be run here."""
    found = [(line, programs(block, line)) for line in lines(block)]
    return [
        line
        for line, words in found
        if words and not {word[0] for word in words} & {*NOT_RUN, "export"} and "orthanc:8042" not in line
    ]


BLOCKS = [block for page in PAGES for block in blocks(page) if block.language == "sh" and runs(block)]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_what_a_block_says_can_be_done(site: Site, block: Block) -> None:
    set_there = {name: value for command in commands(block) for name, value in exported(command)}
    env = {name: put_in(value, site.put) for name, value in set_there.items() if not is_of_elsewhere(name)}
    # A port of its own is what the documents tell a member to have.
    with_port = {"DICOMCAST_HTTP__LISTEN": f"127.0.0.1:{site.port}"}
    with site.line.consumer(env=with_port) if "127.0.0.1:9580" in block.text else nullcontext() as member:
        if member is not None:
            member.wait_for("partitions.assigned")
        for line in runs(block):
            run(site, line, env)


def test_the_examples_of_the_reference_of_the_consumers_commands(kafka: str, tmp_path: Path) -> None:
    """consumer-commands.md, on a group that has a dead letter, whose cause is mended by a setting."""
    with fhir_server() as fhir:
        env = {
            "DICOMCAST_FHIR__URL": fhir.base_url,
            "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://127.0.0.1:9/dicom-web",
        }
        line = Line(bootstrap=kafka, env={**env, "DICOMCAST_WEB__LISTEN": "127.0.0.1:0"})
        line.create_topics()
        produce(line, [create(1, "1.2.3", "1.2.3.1", patient_id=None)])
        with line.consumer() as member:
            done(line, member)
            assert member.stop() == 0
        (letter,) = line.read(line.letters_topic)
        (tmp_path / "study").mkdir()
        (tmp_path / "study" / "1.dcm").write_bytes(demo_files("docs").first[0].content)
        site = Site(
            line=line,
            folder=tmp_path,
            env={**without_settings(), **line.env, "PATH": tools(tmp_path)},
            put={"3:17": f"{letter.partition()}:{letter.offset()}", "sequence:120000": "sequence:1"},
            port=0,
        )
        found = [
            text for block in blocks(DOCS / "consumer-commands.md") if block.language == "sh" for text in runs(block)
        ]
        assert len(found) > 4
        for text in found:
            run(site, text, {"DICOMCAST_MAPPING__MISSING_PATIENT_ID": "placeholder"})
        assert list(studies(fhir)) == ["1.2.3"]


def test_orthanc_answers_what_the_page_asks(orthanc: OrthancServer) -> None:
    found = [line for block in blocks(DOCS / "connect-dicom.md") for line in lines(block) if "orthanc:8042/v1" in line]
    put = {"http://orthanc:8042": orthanc.change_feed_url, "dicomcast:PASSWORD": f"{orthanc.user}:{orthanc.password}"}
    (text,) = (put_in(line, put) for line in found)
    ran = subprocess.run(["bash", "-c", text], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    assert isinstance(json.loads(ran.stdout), list)


def is_of_elsewhere(name: str) -> bool:
    """A setting by which the site is reached: it stands for the reader's own servers, and here they are others."""
    return name.startswith(("DICOMCAST_KAFKA__", "DICOMCAST_FEED__", "DICOMCAST_SOURCES__"))


def run(site: Site, line: str, env: dict[str, str]) -> None:
    """Runs one line to its end; what would run for ever is ended once it is at work. All end with 0."""
    text = put_in(line, site.put)
    words = programs(Block(document=ROOT, line=0, language="sh", text=text), text)[0]
    started = None if {"--exit-when-idle", "--print-config"} & {*words} else STARTED.get(words[:2])
    with (site.folder / "line.log").open("w+b") as log:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text}" if started else f"set -o pipefail; {text}"],
            cwd=site.folder,
            env={**site.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            until = time.monotonic() + 120
            while started and started not in printed(log.name) and process.poll() is None:
                assert time.monotonic() < until, printed(log.name)
                time.sleep(0.2)
            if started and process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0, f"{text}\n{printed(log.name)}"
        finally:
            process.kill()


def printed(log: str) -> str:
    return Path(log).read_text(encoding="utf-8", errors="replace")


def test_the_pages_say_what_to_run() -> None:
    """Else they are not read as they are written."""
    ran = {words[:3] for block in BLOCKS for line in runs(block) for words in programs(block, line)}
    assert {
        ("dicomcast-consumer", "replay", "apply"),
        ("dicomcast-consumer", "verify", "--all"),
        ("dicomcast-producer", "topics", "apply"),
        ("dicomcast-producer", "cursor", "set"),
    } <= ran
    assert {block.document for block in BLOCKS} == {*PAGES}
