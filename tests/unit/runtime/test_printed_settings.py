"""What is printed of the settings: all of them, where each comes from, never a secret; and it is a settings file."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import pytest
from dicomcast_consumer.__main__ import app as consumer_app
from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.__main__ import app as producer_app
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.errors import ConfigurationError, StopError
from dicomcast_runtime.http_client import peer_client
from dicomcast_runtime.printed_settings import printed_settings, without_secrets
from dicomcast_runtime.settings import ProcessSettings, load_settings
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, RootModel, SecretStr
from typer.testing import CliRunner

ENV = {
    "DICOMCAST_KAFKA__BOOTSTRAP_SERVERS": "kafka:9092",
    "DICOMCAST_FHIR__URL": "https://fhir.example.org/fhir",
    "DICOMCAST_FEED__NAME": "main",
    "DICOMCAST_FEED__URL": "https://dicom.example.org",
    "DICOMCAST_SOURCES__MAIN__DICOMWEB_URL": "https://dicom.example.org/v2",
}
BOTH = (ConsumerSettings, ProducerSettings)
KAFKA_SECRETS = (
    "SASL_PASSWORD",
    "SSL_KEY_PASSWORD",
    "SSL_KEYSTORE_PASSWORD",
    "SSL_KEY_PEM",
    "SASL_OAUTHBEARER_CLIENT_SECRET",
    "SASL_OAUTHBEARER_CONFIG",
    "SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE",
    "SASL_JAAS_CONFIG",
)
NO_HOST = "must start with http:// or https:// and name a host"
characters = st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["Cs", "Cc", "Zs"])
secrets = st.text(characters, min_size=1).map(lambda text: f"hush{text}hush")


def secret_names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Every setting that is a SecretStr, by its environment variable."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        kinds = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        at = f"{prefix}__{name.upper()}"
        if SecretStr in kinds:
            yield at
        values = get_args(annotation)[1:] if getattr(annotation, "__origin__", None) is dict else kinds
        for kind in values:
            if isinstance(kind, type) and issubclass(kind, BaseModel) and not issubclass(kind, RootModel):
                yield from secret_names(kind, f"{at}__MAIN" if kind not in kinds else at)


def all_secrets(model: type[ProcessSettings]) -> list[str]:
    names = [name.removeprefix("__") for name in secret_names(model, "")]
    return [f"DICOMCAST_{name}" for name in names] + [f"DICOMCAST_KAFKA__{name}" for name in KAFKA_SECRETS]


@pytest.mark.parametrize("model", BOTH)
def test_the_secrets_that_are_known_here_are_those_of_the_settings(model: type[ProcessSettings]) -> None:
    ends = {name.rsplit("__", 1)[1] for name in all_secrets(model)}
    assert {"PASSWORD", "TOKEN", "CLIENT_SECRET", "CLIENT_KEY_PASSWORD", "USER_INFO"} <= ends


@pytest.mark.parametrize("model", BOTH)
@given(secret=secrets, url=st.sampled_from(["SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "SOME_URL"]))
def test_no_secret_is_ever_shown(model: type[ProcessSettings], secret: str, url: str) -> None:
    env = ENV | dict.fromkeys(all_secrets(model), secret)
    env[f"DICOMCAST_KAFKA__{url}"] = f"https://user:{secret}@login.example.org/token"
    settings = load_settings(model, environ=env)
    for text in (printed_settings(settings, environ=env), repr(settings), str(settings)):
        assert "hush" not in text


@pytest.mark.parametrize("model", BOTH)
@given(secret=secrets)
@example(secret="hush@#hush")  # before the fragment no host is left
def test_an_error_shows_none_either(model: type[ProcessSettings], secret: str) -> None:
    env = {**ENV, **dict.fromkeys(all_secrets(model), secret), "DICOMCAST_LOG__LEVEL": "loud"}
    for name in (
        "FHIR__URL",
        "FEED__URL",
        "REGISTRY__URL",
        "SOURCES__MAIN__DICOMWEB_URL",
        "SOURCES__MAIN__PRIVATE_URL",
    ):
        env[f"DICOMCAST_{name}"] = f"https://u:{secret}@example.org"
    with pytest.raises(ConfigurationError) as error:
        load_settings(model, environ=env)
    assert "hush" not in str(error.value)
    assert any(reason in str(error.value) for reason in ("must not hold a user or password", "is not a URL", NO_HOST))


@pytest.mark.parametrize("model", BOTH)
def test_what_is_printed_is_a_settings_file_that_says_the_same(model: type[ProcessSettings], tmp_path: Path) -> None:
    odd = 'a "quoted" \\ back\tslash\x7f é 山'
    file = tmp_path / "first.toml"
    file.write_text(
        '[topic]\npartitions = 3\n[kafka]\n"client.id" = "x"\n[mapping.codingscheme]\n"99.LOCAL x" = "urn:oid:1.2"\n',
    )
    env = ENV | {"DICOMCAST_MAPPING__PATIENT__SYSTEM": "https://h.example.org/mrn", "DICOMCAST_KAFKA__CLIENT_RACK": odd}
    settings = load_settings(model, config=file, environ=env)
    again = tmp_path / "again.toml"
    again.write_text(printed_settings(settings, config=file, environ=env), encoding="utf-8")
    assert load_settings(model, config=again, environ={}) == settings


def test_each_setting_says_where_it_comes_from(tmp_path: Path) -> None:
    file = tmp_path / "dicomcast.toml"
    file.write_text('[topic]\npartitions = 3\n[kafka]\n"client.id" = "x"\nclient_rack = "r"\n[fhir]\ntimeout_s = 5\n')
    secret = tmp_path / "secret"
    secret.write_text("hush")
    env = ENV | {"DICOMCAST_KAFKA__SASL_PASSWORD_FILE": str(secret), "DICOMCAST_FHIR__TIMEOUT_S": "6"}
    lines = printed_settings(
        load_settings(ConsumerSettings, config=file, environ=env), config=file, environ=env
    ).splitlines()
    for line in (
        "partitions = 3  # file",
        '"client.id" = "x"  # file',
        '"client.rack" = "r"  # file',
        '"bootstrap.servers" = "kafka:9092"  # env',
        '"sasl.password" = "***"  # env',
        "timeout_s = 6.0  # env",
        'level = "info"  # default',
        "# ca_file is not set",
    ):
        assert line in lines


@pytest.mark.parametrize("app", [consumer_app, producer_app])
def test_run_prints_and_ends(app: Any) -> None:
    secret = {"DICOMCAST_KAFKA__SASL_PASSWORD": "hush", "DICOMCAST_FHIR__AUTH__TOKEN": "hush"}
    result = CliRunner().invoke(app, ["run", "--print-config"], env=ENV | secret)
    assert result.exit_code == 0, result.output
    assert tomllib.loads(result.output)["kafka"]["bootstrap.servers"] == "kafka:9092"
    assert "hush" not in result.output


def test_urls_lose_user_and_password() -> None:
    assert without_secrets("see https://u:p@a.example/x and http://b.example") == (
        "see https://***@a.example/x and http://b.example"
    )


def test_tls_files_that_cannot_be_used_do_not_show_the_password(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("not pem")
    env = ENV | {
        "DICOMCAST_FHIR__CLIENT_CERT_FILE": str(tmp_path / "x.pem"),
        "DICOMCAST_FHIR__CLIENT_KEY_PASSWORD": "hush",
    }
    with pytest.raises(StopError) as error:
        peer_client(load_settings(ConsumerSettings, environ=env).fhir)
    assert "hush" not in str(error.value)
