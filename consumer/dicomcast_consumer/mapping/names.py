"""PN (PS3.5 6.2.1) → R4 HumanName."""

from .elements import DataSet
from .fragments import NameGroup, PersonName

__all__ = ["read_name", "read_names"]

_KEYS = {"ABC": "Alphabetic", "IDE": "Ideographic", "SYL": "Phonetic"}


def read_name(data_set: DataSet, tag: str, attribute: str) -> PersonName | None:
    """The name of a PN: an object with its groups, or the plain string with `=` between them. None if all are empty."""
    value = data_set.first(tag)
    return None if value is None else _read_name(data_set, value, attribute)


def read_names(data_set: DataSet, tag: str, attribute: str) -> list[PersonName | None]:
    """The names of a PN that may have several values; None in the place of an empty one."""
    return [_read_name(data_set, value, attribute) for value in data_set.values(tag)]


def _read_name(data_set: DataSet, value: object, attribute: str) -> PersonName | None:
    if value is None:
        return None
    if isinstance(value, str):
        texts: dict[str, object] = dict(zip(_KEYS, value.split("="), strict=False))
    elif isinstance(value, dict):
        texts = {code: value.get(key) for code, key in _KEYS.items()}
    else:
        data_set.omit(attribute, "not_text")
        return None
    groups = {code: _read_group(data_set, text, attribute) for code, text in texts.items() if text is not None}
    name = PersonName(**groups)
    return name if name.groups else None


def _read_group(data_set: DataSet, text: object, attribute: str) -> NameGroup | None:
    clean = data_set.clean(text, attribute)
    if clean is None:
        return None
    parts = [part.strip() for part in clean.split("^")]
    if len(parts) > 5 and any(parts[5:]):
        data_set.omit(attribute, "name_components_extra")
    family, given, middle, prefix, suffix = (*parts, "", "", "", "")[:5]
    names, before, after = (*given.split(), *middle.split()), _titles(prefix), _titles(suffix)
    if not (family or names or before or after):
        return None
    return NameGroup(family=family or None, given=names, prefix=before, suffix=after)


def _titles(text: str) -> tuple[str, ...]:
    """Titles are separated by commas where there are any, else by spaces."""
    if not text:
        return ()
    parts = text.split(",") if "," in text else text.split()
    return tuple(part.strip() for part in parts if part.strip())
