"""docs/settings.md, made from the settings themselves: `python -m tests.settings_reference > docs/settings.md`.

tests/unit/test_docs.py fails when the file is not what this prints.
"""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from dicomcast_consumer.config import ConsumerSettings
from dicomcast_producer.config import ProducerSettings
from dicomcast_runtime.kafka_settings import REFUSED
from pydantic import BaseModel, RootModel
from pydantic.fields import FieldInfo

__all__ = ["reference"]

INTRO = """# Settings

Made from the settings themselves by `python -m tests.settings_reference`; do not edit.

Every setting is an environment variable, or an entry of a TOML file given with `--config` (`DICOMCAST_FHIR__URL` is
`url` in the section `[fhir]`). The environment wins. Lists and maps are JSON in the environment, or one variable an
entry (`…__<NAME>`; its case counts where it is a name of DICOM's, such as an issuer). A secret (`…PASSWORD`,
`…SECRET`, `…TOKEN`, `…USERNAME`, `…USER_INFO`) may stand in a file:
`DICOMCAST_FHIR__AUTH__PASSWORD_FILE=/run/secrets/fhir`. Both processes may share one environment: each ignores the
sections of the other. An unknown name is an error, and everything that is wrong is reported at once (exit 64).
"""

KAFKA = """## Kafka: `DICOMCAST_KAFKA__…`, both processes

Any librdkafka property, its dots as underscores: `DICOMCAST_KAFKA__SASL_USERNAME` is `sasl.username`. Required:
`DICOMCAST_KAFKA__BOOTSTRAP_SERVERS`. Refused, because a guarantee depends on them:

| property | why |
| --- | --- |
"""


def reference() -> str:
    """The whole document."""
    both = {name for name in ProducerSettings.model_fields if name in ConsumerSettings.model_fields} - {"kafka"}
    parts = [INTRO, KAFKA + "".join(f"| `{name}` | {why} |\n" for name, why in sorted(REFUSED.items()))]
    parts += [_section(name, ProducerSettings.model_fields[name], "both processes") for name in sorted(both)]
    parts += [
        _section(name, field, f"`dicomcast-{process}`")
        for process, settings in (("producer", ProducerSettings), ("consumer", ConsumerSettings))
        for name, field in settings.model_fields.items()
        if name not in both and name != "kafka"
    ]
    return "\n".join(parts)


def _section(name: str, field: FieldInfo, whose: str) -> str:
    rows = list(_rows(f"DICOMCAST_{name.upper()}", field.annotation))
    head = f"## {name}: {whose}\n\n| setting | default | what it is |\n| --- | --- | --- |\n"
    return head + "".join(f"| `{setting}` | {default} | {text} |\n" for setting, default, text in rows)


def _rows(prefix: str, annotation: Any) -> Iterator[tuple[str, str, str]]:
    if get_origin(annotation) is dict:
        yield from _rows(f"{prefix}__<NAME>", get_args(annotation)[1])
        return
    for name, field in annotation.model_fields.items():
        setting = f"{prefix}__{name.upper()}"
        inner = _model(field.annotation)
        if inner is not None:
            yield from _rows(setting, inner)
        elif get_origin(field.annotation) is dict:
            yield f"{setting}__<NAME>", "none", _text(field)
        else:
            yield setting, _default(field), _text(field)


def _model(annotation: Any) -> type[BaseModel] | None:
    found = isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel)
    return annotation if found else None


def _text(field: FieldInfo) -> str:
    options = _options(field.annotation)
    listed = f" One of {', '.join(f'`{option}`' for option in options)}." if options else ""
    return f"{field.description or ''}{listed}".replace("|", "\\|").replace("\n", " ")


def _options(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    if get_origin(annotation) in (Union, UnionType):
        return next((get_args(a) for a in get_args(annotation) if get_origin(a) is Literal), ())
    return ()


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is None or value == [] or value == frozenset():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


if __name__ == "__main__":
    print(reference(), end="")
