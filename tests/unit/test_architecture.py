"""The structure: import arrows, where each client library may be, how large a module may get."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "dicomcast_schemas": ROOT / "schemas" / "dicomcast_schemas",
    "dicomcast_runtime": ROOT / "runtime" / "dicomcast_runtime",
    "dicomcast_producer": ROOT / "producer" / "dicomcast_producer",
    "dicomcast_consumer": ROOT / "consumer" / "dicomcast_consumer",
    "dicomcast_sandbox": ROOT / "sandbox" / "dicomcast_sandbox",
}
MAY_IMPORT = {
    "dicomcast_schemas": set(),
    "dicomcast_runtime": {"dicomcast_schemas"},
    "dicomcast_producer": {"dicomcast_schemas", "dicomcast_runtime"},
    "dicomcast_consumer": {"dicomcast_schemas", "dicomcast_runtime"},
    "dicomcast_sandbox": {"dicomcast_schemas", "dicomcast_runtime"},
}
# Pure: values in, values out.
PURE = (
    *("mapping", "mapping_options", "plan", "bundle", "assignments", "lanes", "offsets", "room", "breaker"),
    *("rejection_guard", "replay_plan", "dlq", "dlq_verdict", "dlq_done", "dlq_later", "dlq_chunks", "letter_room"),
    *("capability", "dlq_forms", "uid", "counted"),
)
IMPURE_IMPORTS = {"confluent_kafka", "httpx", "structlog", "os", "time", "socket", "asyncio", "threading", "logging"}


def modules(package: str) -> list[Path]:
    return sorted(PACKAGES[package].rglob("*.py"))


def imported(module: Path) -> Iterator[str]:
    """Top-level names of the absolute imports of a module."""
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.split(".")[0]


def called(module: Path) -> set[str]:
    """What a module calls by its bare name."""
    nodes = ast.walk(ast.parse(module.read_text(encoding="utf-8")))
    return {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_import_arrows(package: str) -> None:
    """schemas ← runtime ← producer, consumer; never producer ↔ consumer; nothing ← sandbox."""
    ours = {name for module in modules(package) for name in imported(module) if name in PACKAGES} - {package}
    assert ours <= MAY_IMPORT[package]


def test_the_middle_is_pure() -> None:
    impure = {
        f"{module.relative_to(ROOT)}: {name}"
        for module in modules("dicomcast_consumer")
        if module.relative_to(PACKAGES["dicomcast_consumer"]).parts[0].removesuffix(".py") in PURE
        for name in imported(module)
        if name in IMPURE_IMPORTS
    }
    assert impure == set()


def test_fhir_resources_is_only_in_the_mapping() -> None:
    users = {m.relative_to(ROOT).as_posix() for p in PACKAGES for m in modules(p) if "fhir" in set(imported(m))}
    assert all(user.startswith("consumer/dicomcast_consumer/mapping/") for user in users)


def test_only_a_member_waits_for_the_end_of_its_client() -> None:
    """Any other client comes from kafka_clients; a call by its name elsewhere would be confluent_kafka's own."""
    own = {"AdminClient", "Producer", "ReadingConsumer"}
    made = {
        f"{package}/{module.name}: {name}"
        for package in ("dicomcast_runtime", "dicomcast_producer", "dicomcast_consumer")
        for module in modules(package)
        for name in {"AdminClient", "Consumer", "Producer"} & called(module)
        if name not in own or "kafka_clients import" not in module.read_text(encoding="utf-8")
    }
    assert made == {"dicomcast_consumer/source.py: Consumer"}


def test_the_base_install_reads_the_topic() -> None:
    """The contract needs fastavro and nothing else."""
    third = {n for m in modules("dicomcast_schemas") for n in imported(m)}
    assert third - {"fastavro"} <= {
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "functools",
        "importlib",
        "io",
        "json",
        "typing",
    }


def test_no_module_is_over_400_lines() -> None:
    folders = ("schemas", "runtime", "producer", "consumer", "sandbox", "tests", "benchmarks", "examples")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert [
        p.relative_to(ROOT).as_posix() for p in found if len(p.read_text(encoding="utf-8").splitlines()) > 400
    ] == []


def test_every_package_is_typed() -> None:
    assert all((folder / "py.typed").exists() for folder in PACKAGES.values())
