"""`--print-config`: the settings in force as a settings file, each with where it comes from, secrets as ***."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, RootModel, SecretStr

from .settings import ProcessSettings, given_settings

__all__ = ["printed_settings", "without_secrets"]

_HIDDEN: Final = '"***"'
_SECRET_NAME: Final = re.compile(
    r"pass(word|phrase)|secret|jaas|\.pem$|sasl\.oauthbearer\.config|assertion|token(?!\.endpoint)"
)
"""Of librdkafka's properties. `sasl.oauthbearer.token.endpoint.url` is none."""
_USERINFO: Final = re.compile(r"(?<=://)[^ \t\r\n]*@")
"""Greedy: a password may have a slash, an `@`, or what Unicode takes for a space."""
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


def printed_settings(
    settings: ProcessSettings, *, config: Path | None = None, environ: Mapping[str, str] | None = None
) -> str:
    """A TOML document of all settings; `config` and `environ` are those that they were loaded from.

    Each has `# default`, `# file` or `# env` behind it; what has no value is a comment. With the secrets put in again
    it is a settings file.
    """
    file, env = given_settings(type(settings), config=config, environ=os.environ if environ is None else environ)
    lines: list[str] = []
    for name in type(settings).model_fields:
        lines += _table((name,), getattr(settings, name), _Origins(file.get(name), env.get(name)))
    return "\n".join(lines).lstrip("\n") + "\n"


def without_secrets(text: str) -> str:
    """The text with user and password of every URL in it as ***."""
    return _USERINFO.sub("***@", text)


class _Origins:
    """What file and environment have at one place."""

    def __init__(self, file: Any, env: Any) -> None:
        self._file = file
        self._env = env

    def at(self, name: str) -> "_Origins":
        return _Origins(_get(self._file, name), _get(self._env, name))

    def __str__(self) -> str:
        return "env" if self._env is not None else "file" if self._file is not None else "default"


def _table(path: tuple[str, ...], value: Any, origins: _Origins) -> Iterator[str]:
    entries = list(_entries(value))
    inner = [(name, each) for name, each in entries if _is_table(each)]
    own = [(name, each) for name, each in entries if not _is_table(each)]
    if own or not inner:
        yield from ("", f"[{'.'.join(_key(part) for part in path)}]")
    for name, each in own:
        yield _line(name, each, origins.at(name), is_secret=path == ("kafka",) and _is_secret(name))
    for name, each in inner:
        yield from _table((*path, name), each, origins.at(name))


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, RootModel):
        yield from sorted(value.root.items())
    elif isinstance(value, BaseModel):
        yield from ((name, getattr(value, name)) for name in type(value).model_fields)
    else:
        yield from ((str(name), each) for name, each in value.items())


def _is_table(value: Any) -> bool:
    return isinstance(value, BaseModel | dict)


def _line(name: str, value: Any, origin: _Origins, *, is_secret: bool) -> str:
    if value is None:
        return f"# {_key(name)} is not set"
    text = _HIDDEN if is_secret or isinstance(value, SecretStr) else _toml(value)
    return f"{_key(name)} = {text}  # {origin}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        ordered = sorted(value) if isinstance(value, set | frozenset) else value
        return f"[{', '.join(_toml(each) for each in ordered)}]"
    return _quoted(without_secrets(str(value)))


def _quoted(text: str) -> str:
    escaped = "".join(
        f"\\{each}" if each in '"\\' else each if each.isprintable() else f"\\U{ord(each):08X}" for each in text
    )
    return f'"{escaped}"'


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _quoted(name)


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name.lower()) is not None


def _get(value: Any, name: str) -> Any:
    """The entry of a mapping under the name, or under its form in the environment."""
    if not isinstance(value, Mapping):
        return None
    for each, found in value.items():
        if str(each) == name or str(each).lower().replace("_", ".") == name:
            return found
    return None
