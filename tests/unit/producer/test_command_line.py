"""Settings and command line: exit codes, one error for all that is wrong, and docs that name it all."""

import subprocess
import sys
from pathlib import Path

import pytest
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.errors import ConfigurationError
from dicomcast_runtime.exit_codes import ExitCode
from dicomcast_runtime.settings import load_settings

NEEDED = {
    "DICOMCAST_FEED__URL": "http://pacs",
    "DICOMCAST_FEED__NAME": "pacs",
    "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:9",
}
DOCS = Path(__file__).parents[3] / "docs" / "producer.md"


def run(*args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "dicomcast_producer", *args],
        env={"PATH": "", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_least_that_is_needed() -> None:
    settings = load_settings(ProducerSettings, environ=NEEDED)
    assert settings.feed.api_version == "v1"
    assert settings.feed.dicomweb.url == "http://pacs/v1"
    assert settings.topic.name == "dicom.changes.v1"


def test_the_consumers_sections_are_not_ours_to_judge() -> None:
    load_settings(ProducerSettings, environ={**NEEDED, "DICOMCAST_FHIR__URL": "http://fhir"})


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("FEED__NAME", "Main PACS", "FEED__NAME"),
        ("FEED__API_VERSION", "v3", "FEED__API_VERSION"),
        ("FEED__PAGE_SIZE", "150", "at most 100"),
        ("FEED__START", "yesterday", "FEED__START"),
        ("FEED__PAGESIZE", "5", "no such setting"),
        ("FEED__URL", "ftp://pacs", "http"),
        ("FEED__AUTH__KIND", "oauth2", "token_url"),
        ("PRODUCER__TRANSACTION_TIMEOUT_S", "60", "TRANSACTION_TIMEOUT_S"),
        ("KAFKA__TRANSACTIONAL_ID", "mine", "transactional.id is not yours"),
        ("KAFKA__PARTITIONER", "random", "partitioner is not yours"),
        ("BOGUS", "1", "no section"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        load_settings(ProducerSettings, environ={**NEEDED, f"DICOMCAST_{name}": value})


def test_page_size_200_with_v2() -> None:
    environ = {**NEEDED, "DICOMCAST_FEED__PAGE_SIZE": "200", "DICOMCAST_FEED__API_VERSION": "v2"}
    assert load_settings(ProducerSettings, environ=environ).feed.page_size == 200


def test_no_settings_at_all_is_one_error_with_all_that_is_missing() -> None:
    done = run("run")
    assert done.returncode == ExitCode.CONFIGURATION
    for name in NEEDED:
        assert name.rpartition("__")[0] in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("args", [("--bogus",), ("bogus",), ("cursor", "set"), ("run", "--start", "yesterday")])
def test_usage_errors_are_64(args: tuple[str, ...]) -> None:
    done = run(*args, **NEEDED)
    assert done.returncode == ExitCode.CONFIGURATION, done.stderr
    assert "Traceback" not in done.stderr


def test_help_is_0() -> None:
    assert run("--help").returncode == ExitCode.OK


@pytest.mark.parametrize(
    "code", [c for c in ExitCode if c not in (ExitCode.INPUT, ExitCode.WATCHDOG, ExitCode.INTERRUPTED)]
)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    assert f"| {code.value} |" in DOCS.read_text(encoding="utf-8")
