"""What is wrong with a command of the documents: pure of any server, nothing is run.

Our own command lines are parsed by themselves, `make` targets and variables are looked for in the Makefile, settings
are read by their models, extras are those of pyproject.toml, Deployments those of deploy/kubernetes, and a path that
begins with a folder of the repository must exist. Of every other program the options that the documents use are
listed here: one that is not listed has to be looked up, and added.
"""

import importlib.util
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
import yaml
from dicomcast_consumer.__main__ import app as consumer
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_consumer.replay_target import parse_target
from dicomcast_producer.__main__ import app as producer
from dicomcast_producer.config import FeedSettings, ProducerSettings
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.settings import load_settings
from dicomcast_sandbox.__main__ import app as sandbox

from tests.documents.shell import ROOT, SUBSTITUTED, Command

__all__ = ["exported", "problems", "settings_problems"]

_OURS = {"dicomcast-producer": producer, "dicomcast-consumer": consumer, "dicomcast-sandbox": sandbox}
_USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]
_INCOMPLETE = "incomplete: "
_OTHERS: Mapping[str, frozenset[str]] = {
    ".": frozenset(),
    "apt-get": frozenset(),
    "cat": frozenset(),
    "cp": frozenset(),
    "curl": frozenset({"-sS", "-H", "-u", "--data-binary"}),
    "diff": frozenset(),
    "head": frozenset({"-1", "-c"}),
    "jobs": frozenset({"-p"}),
    "kafka-acls": frozenset(
        {"--bootstrap-server", "--command-config", "--add", "--allow-principal", "--operation", "--topic", "--group"}
        | {"--transactional-id", "--resource-pattern-type"}
    ),
    "kafka-consumer-groups": frozenset(
        {"--bootstrap-server", "--group", "--reset-offsets", "--from-file", "--execute"}
    ),
    "kill": frozenset(),
    "kubectl": frozenset({"--replicas", "-k"}),
    "mvn": frozenset({"-q", "-f"}),
}
_PLACEHOLDERS = {"PARTITION:OFFSET": "3:17", "UID": "1.2.3", "NAME": "some-group", "FILE": "file"}
_NEEDED = {
    "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
    "DICOMCAST_FEED__NAME": "main",
    "DICOMCAST_FEED__URL": "http://dicom-server:8080",
    "DICOMCAST_FHIR__URL": "http://fhir-server:8080/fhir",
    "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "http://dicom-server:8080/v2",
}
_NOW = datetime(2026, 12, 1, tzinfo=UTC)
_PARSED_LATER: Mapping[str, Mapping[str, Callable[[Any], object]]] = {
    "dicomcast-consumer replay plan": {"to": lambda to: to and parse_target(to, study=None, now=_NOW)},
    "dicomcast-consumer replay apply": {"to": lambda to: to and parse_target(to, study=None, now=_NOW)},
    "dicomcast-producer cursor set": {"to": lambda to: FeedSettings(url="http://dicom-server", name="main", start=to)},
}
"""Parameters that the commands themselves parse: what raises ValueError for a wrong one."""
_SECRET = re.compile(r"(DICOMCAST_\w*(?:PASSWORD|PASSPHRASE|SECRET|TOKEN|USERNAME|USER_INFO))_FILE")


def problems(command: Command, *, mentioned: bool = False) -> list[str]:
    """What is wrong with one command; settings that it exports are for settings_problems.

    One that is only `mentioned` may lack what it requires, as in "`dicomcast-producer cursor set` puts it elsewhere".
    """
    found = (problem for problem in _problems(command.words) if not (mentioned and problem.startswith(_INCOMPLETE)))
    return [f"{' '.join(command.words)}: {problem}" for problem in found]


def settings_problems(given: Sequence[tuple[str, str]]) -> list[str]:
    """What both processes say about these variables, beside what they need at least."""
    environ = dict(_NEEDED)
    for name, value in given:
        secret = _SECRET.fullmatch(name)
        environ[secret[1] if secret else name] = "secret" if secret else value.replace(SUBSTITUTED, "127.0.0.1:9092")
    found: list[str] = []
    for settings in (ProducerSettings, ConsumerSettings):
        try:
            load_settings(settings, environ=environ)
        except ConfigurationError as error:
            found.append(str(error))
    return found


def exported(command: Command) -> list[tuple[str, str]]:
    """Settings of ours that a command sets: `export A=1`, `A=1 program`, `env A=1 program`."""
    words = command.words[1:] if command.words[:1] in (("export",), ("env",)) else ()
    pairs = [word.partition("=")[::2] for word in words if "=" in word]
    return [(name, value) for name, value in (*command.assignments, *pairs) if name.startswith("DICOMCAST_")]


def _problems(words: Sequence[str]) -> Iterator[str]:
    if not words or words[0] == "export":
        return
    program, arguments = words[0], [_PLACEHOLDERS.get(word, word) for word in words[1:]]
    yield from _missing_paths(words)
    if program in _OURS:
        yield from _of_ours(_OURS[program], program, arguments)
    elif program == "make":
        yield from _of_make(arguments)
    elif program in ("python", "python3"):
        yield from _of_python(arguments)
    elif program == "pip":
        yield from _of_pip(arguments)
    elif program == "env":
        yield from _problems([word for word in arguments if "=" not in word])
    elif program == "kubectl":
        yield from _of_kubectl(arguments)
    elif program in _OTHERS:
        yield from _unknown_options(program, arguments)
    elif not (ROOT / program).is_file():
        yield f"{program}: no test knows how to check it (tests/documents/check.py)"


def _missing_paths(words: Sequence[str]) -> Iterator[str]:
    folders = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    for word in words:
        first, slash, _ = word.partition("/")
        if slash and first in folders and not (ROOT / word).exists():
            yield f"there is no {word}"


def _of_ours(app: typer.Typer, name: str, arguments: list[str]) -> Iterator[str]:
    command: Any = typer.main.get_command(app)
    for parameter in command.params:
        if parameter.name in ("install_completion", "show_completion"):
            parameter.callback = _end  # theirs writes to the shell's files of whoever runs the tests
    try:
        context = command.make_context(name, arguments)
        while hasattr(command, "commands"):
            name, command, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            context = command.make_context(name, rest, parent=context)
        for parameter, parse in _PARSED_LATER.get(context.command_path, {}).items():
            parse(context.params[parameter])
    except _USAGE_ERROR as error:
        lacks = type(error).__name__ in ("MissingParameter", "NoArgsIsHelpError")
        yield f"{_INCOMPLETE if lacks else ''}{getattr(error, 'message', '') or 'no subcommand'}"
    except ValueError as error:
        yield str(error)
    except typer.Exit:
        pass  # --help, --version, --install-completion


def _end(_: object, __: object, given: object) -> None:
    if given:
        raise typer.Exit


def _of_make(arguments: Sequence[str]) -> Iterator[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M))
    for word in arguments:
        name, is_variable, _ = word.partition("=")
        if f"$({name})" not in makefile if is_variable else word not in targets:
            yield f"make has no {'variable' if is_variable else 'target'} {name}"


def _of_python(arguments: list[str]) -> Iterator[str]:
    match arguments:
        case ["-m", module, *_] if importlib.util.find_spec(module) is None:
            yield f"there is no module {module}"
        case ["-c", text, *_]:
            compile(text, "<document>", "exec")
        case [file, *_] if not file.startswith("-") and not (ROOT / file).is_file():
            yield f"there is no file {file}"


def _of_pip(arguments: Sequence[str]) -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").lower()
    if arguments[:1] != ["install"]:
        yield "is no `pip install`"
    for word in arguments[1:]:
        if word == "--upgrade":
            continue
        name, _, extras = word.rstrip("]").partition("[")
        if name in ("dicomcast", "."):
            missing = {*filter(None, extras.split(","))} - {*project["optional-dependencies"]}
            yield from (f"dicomcast has no extra {extra}" for extra in sorted(missing))
        elif f"\n{name.lower()}==" not in pinned:
            yield f"{word} is none of the packages that dicomcast is tried with"


def _of_kubectl(arguments: list[str]) -> Iterator[str]:
    if "--" in arguments:
        place = arguments.index("--")
        yield from _problems(arguments[place + 1 :])
        arguments = arguments[:place]
    yield from _unknown_options("kubectl", arguments)
    if arguments[:1] not in (["apply"], ["exec"], ["port-forward"], ["rollout"], ["scale"]):
        yield f"kubectl {arguments[0]}: no test knows it"
    manifests = [path.read_text(encoding="utf-8") for path in (ROOT / "deploy" / "kubernetes").glob("*.yaml")]
    objects = [found for text in manifests for found in yaml.safe_load_all(text) if found and "metadata" in found]
    known = {f"{found['kind'].lower()}/{found['metadata']['name']}" for found in objects}
    yield from (f"deploy/kubernetes has no {word}" for word in arguments if "deployment/" in word and word not in known)


def _unknown_options(program: str, arguments: Sequence[str]) -> Iterator[str]:
    known = _OTHERS[program]
    for word in arguments:
        option = word.partition("=")[0]
        if word.startswith("-") and option not in known and not option.startswith("-D"):
            yield f"{program}: nobody has looked up {option} (tests/documents/check.py)"
