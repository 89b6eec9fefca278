"""Settings from the environment and a TOML file, read once.

`DICOMCAST_FHIR__URL` is `url` in the section `[fhir]` of the file; the environment wins. A name ending in `_FILE`, as
`DICOMCAST_FHIR__AUTH__PASSWORD_FILE`, reads a secret from that file (its last line break cut). One environment serves
both processes: each ignores the sections of the other. Everything that is wrong is reported in one error.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeGuard, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from .errors import ConfigurationError

__all__ = ["ENV_PREFIX", "SECTIONS", "ProcessSettings", "Section", "given_settings", "load_settings"]

ENV_PREFIX: Final = "DICOMCAST_"
_FILE: Final = "_FILE"

SECTIONS: Final = frozenset(
    {"feed", "topic", "kafka", "registry", "log", "http", "producer", "fhir", "sources", "mapping", "consumer", "web"}
)
"""Every section of either process."""

_UNUSED_BY_SETTINGS: Final = frozenset({"DICOMCAST_CONFIG"})


class Section(BaseModel):
    """A section of the settings: frozen, unknown names refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ProcessSettings(BaseSettings):
    """All settings of one process; its fields are sections."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__", case_sensitive=False
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)  # load_settings has read file and environment, with their errors told apart


S = TypeVar("S", bound=ProcessSettings)


def load_settings(settings: type[S], *, config: Path | None = None, environ: Mapping[str, str] | None = None) -> S:
    """The settings of `config` (TOML) overridden by the environment. Raises ConfigurationError naming every problem."""
    problems: list[str] = []
    env = _expand_files(os.environ if environ is None else environ, problems)
    problems += [
        f"{name}: there is no section of this name (sections: {', '.join(sorted(SECTIONS))})"
        for name in sorted(env)
        if name.split("__")[0].removeprefix(ENV_PREFIX).lower() not in SECTIONS
    ]
    table = _read_toml(config, problems)
    problems += [f"{config}: [{name}]: there is no section of this name" for name in table if name not in SECTIONS]
    known = {name: value for name, value in table.items() if name in settings.model_fields}
    try:
        values = _merged(known, _Environment(settings, env)())
        result = settings(**values)
    except ValidationError as error:
        problems += [_problem(item, settings) for item in error.errors(include_url=False, include_input=False)]
    except ValueError as error:  # pydantic-settings' SettingsError: a value that should be JSON and is not
        problems.append(str(error))
    if problems:
        raise ConfigurationError("the settings are not usable:\n" + "\n".join(f"  - {problem}" for problem in problems))
    return result


def given_settings(
    settings: type[ProcessSettings], *, config: Path | None, environ: Mapping[str, str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the file and what the environment say, as `load_settings` reads them; of settings that it has accepted."""
    return _read_toml(config, []), _Environment(settings, _expand_files(environ, []))()


class _Environment(EnvSettingsSource):
    """pydantic-settings' reading of nested names, over the environment given.

    What a name ends with where any text may stand, such as an issuer of patient numbers, stays as it is written.
    """

    def __init__(self, settings: type[ProcessSettings], env: Mapping[str, str]) -> None:
        self._given = env
        self._tables = tuple(f"{ENV_PREFIX.lower()}{table}__" for table in _tables(settings))
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        # In order: a table's JSON comes before its entries, which are added to it.
        return {self._lowered(name): self._given[name] for name in sorted(self._given)}

    def _lowered(self, name: str) -> str:
        lower = name.lower()
        table = next((table for table in self._tables if lower.startswith(table)), lower)
        return table + name[len(table) :]


def _tables(section: type[BaseModel]) -> Iterator[str]:
    """Settings of text by any name (`patient__issuers`), as the ends of names."""
    for name, field in section.model_fields.items():
        annotation = field.annotation
        if get_origin(annotation) is dict and not _is_section(get_args(annotation)[1]):
            yield name
        elif _is_section(annotation):
            yield from (f"{name}__{table}" for table in _tables(annotation))


def _is_section(annotation: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _expand_files(environ: Mapping[str, str], problems: list[str]) -> dict[str, str]:
    ours = {n: v for n, v in environ.items() if n.upper().startswith(ENV_PREFIX) and n not in _UNUSED_BY_SETTINGS}
    for name in [n for n in ours if n.upper().endswith(_FILE) and "__" in n]:
        target = name[: -len(_FILE)]
        path = ours[name]
        if not _is_secret(target):
            continue
        del ours[name]
        if target in ours:
            problems.append(f"{target} and {name} are both set: keep one")
            continue
        try:
            ours[target] = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{name}: {path} cannot be read ({type(error).__name__})")
    return ours


def _is_secret(name: str) -> bool:
    # Only these have a _FILE form: `ca_file` and its like are paths in their own right.
    return name.upper().endswith(("PASSWORD", "PASSPHRASE", "SECRET", "TOKEN", "USERNAME", "USER_INFO"))


def _read_toml(path: Path | None, problems: list[str]) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(f"{path}: not TOML: {error}")
    return {}


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(below)
    for name, value in above.items():
        under = result.get(name)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        result[name] = _merged(under, value) if both else value  # type: ignore[arg-type]  # both is true
    return result


def _problem(item: Any, settings: type[ProcessSettings]) -> str:
    where = item["loc"]
    name = ENV_PREFIX + "__".join(str(part).upper() for part in where)
    if item["type"] == "missing":
        needed = _required(settings.model_fields[where[0]].annotation) if len(where) == 1 else ()
        return f"{', '.join(f'{name}__{part}' for part in needed) or name}: is required and not set"
    return f"{name}: {_fault(item, settings)}"


def _fault(item: Any, settings: type[ProcessSettings]) -> str:
    *above, last = item["loc"]
    section = _section_at(settings, above)
    if item["type"] == "extra_forbidden" and section is not None:
        names = (f"{n}__…" if _is_section(f.annotation) else n for n, f in section.model_fields.items())
        place = ENV_PREFIX + "__".join(str(part) for part in above)
        return f"there is no such setting ({place.upper()} has: {', '.join(sorted(names)).upper()})"
    if item["type"] == "string_pattern_mismatch" and section is not None:
        return f"must match {item['ctx']['pattern']}: {section.model_fields[last].description}"
    return str(item["msg"]).removeprefix("Value error, ")


def _section_at(settings: type[BaseModel], names: Sequence[Any]) -> type[BaseModel] | None:
    """The section of this name; None for what is none."""
    found: Any = settings
    for name in names:
        field = found.model_fields.get(name) if _is_section(found) else None
        found = get_args(found)[1] if get_origin(found) is dict else field and field.annotation
    return found if _is_section(found) else None


def _required(section: Any) -> tuple[str, ...]:
    """What a section cannot be without, as the ends of names."""
    if get_origin(section) is dict:
        return tuple(f"<NAME>__{part}" for part in _required(get_args(section)[1]))
    if issubclass(section, RootModel):
        return ("BOOTSTRAP_SERVERS",)
    return tuple(name.upper() for name, field in section.model_fields.items() if field.is_required())
