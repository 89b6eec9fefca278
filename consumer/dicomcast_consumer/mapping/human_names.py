"""Patient.name: the entry with use=usual is DICOM's, with ideographic and phonetic forms beside it."""

from collections.abc import Iterable

from .fragments import PersonName
from .identity import Resource
from .marks import Marks
from .values import Mark

__all__ = ["family_names", "has_name", "is_named", "merge_names"]

REPRESENTATION = "http://hl7.org/fhir/StructureDefinition/iso21090-EN-representation"
_COMPONENTS = ("family", "given", "prefix", "suffix")
_ORDER = ("id", "extension", "use", "text", *_COMPONENTS, "period")


def has_name(patient: Resource) -> bool:
    """Whether the Patient has any name that says something."""
    return any(name.get("text") or name.get("family") or name.get("given") for name in patient.get("name") or ())


def family_names(patient: Resource) -> list[str]:
    """Every family name the Patient goes by."""
    return [str(name["family"]) for name in patient.get("name") or () if name.get("family")]


def is_named(patient: Resource, name: PersonName) -> bool:
    """Whether an alphabetic name, and no other, is the Patient's usual name as it is."""
    if name.ABC is None or name.IDE is not None or name.SYL is not None:
        return False
    names = patient.get("name")
    if not names:
        return False
    known = _known_groups(names)
    return known.keys() == {"ABC"} and _is_as_we_write(known["ABC"], name.ABC.json())


def merge_names(patient: Resource, name: PersonName, mark: Mark, marks: Marks) -> None:
    """Put the groups of a PN into the Patient's names, each unless it is older than what is there.

    The first group there is (alphabetic, ideographic, phonetic) is the usual name; the others have no use. With two or
    more each names its representation (iso21090-EN-representation), and so does a usual name that is not alphabetic.
    Names with another use stay as they are.
    """
    if is_named(patient, name):
        marks.take("name/ABC", mark)
        return
    names = list(patient.get("name") or ())
    known, groups = _known_groups(names), name.groups
    for code, group in groups.items():
        if code not in known or not marks.is_older(mark, f"name/{code}"):
            known[code] = _with_components(known.get(code) or {}, group.json())
            marks.take(f"name/{code}", mark)
    present = [code for code in ("ABC", "IDE", "SYL") if code in known]
    entries = [
        _entry(known[code], code=code if code != "ABC" or len(present) > 1 else None, is_usual=code == present[0])
        for code in present
    ]
    patient["name"] = _placed(names, entries)


def _known_groups(names: Iterable[Resource]) -> dict[str, Resource]:
    """The names that are DICOM's, by representation."""
    found: dict[str, Resource] = {}
    for name in names:
        code = _representation(name)
        if name.get("use") == "usual":
            found.setdefault(code or "ABC", name)
        elif code in ("IDE", "SYL") and "use" not in name:
            found.setdefault(code, name)
    return found


def _representation(name: Resource) -> str | None:
    if "extension" not in name:
        return None
    codes = (e.get("valueCode") for e in name.get("extension") or () if e.get("url") == REPRESENTATION)
    return next((str(code) for code in codes if code), None)


def _is_as_we_write(name: Resource, components: Resource) -> bool:
    """Whether a usual name has these components already, and nothing that one alone would not have."""
    same = all(name.get(key) == components.get(key) for key in _COMPONENTS)
    return same and "extension" not in name and name.get("use") == "usual"


def _with_components(name: Resource, components: Resource) -> Resource:
    """The name with other components; its text goes when it no longer says the same."""
    if not name:
        return components
    kept = {key: value for key, value in name.items() if key not in _COMPONENTS}
    merged = {**kept, **components}
    if any(name.get(key) != merged.get(key) for key in _COMPONENTS):
        merged.pop("text", None)
    return merged


def _entry(name: Resource, *, code: str | None, is_usual: bool) -> Resource:
    extensions = [e for e in name.get("extension") or () if e.get("url") != REPRESENTATION]
    if code is not None:
        extensions.append({"url": REPRESENTATION, "valueCode": code})
    elements = {key: value for key, value in name.items() if key not in ("extension", "use")}
    if extensions:
        elements["extension"] = extensions
    if is_usual:
        elements["use"] = "usual"
    first = {key: elements.pop(key) for key in _ORDER if key in elements}
    return {**first, **elements}


def _placed(names: list[Resource], entries: list[Resource]) -> list[Resource]:
    """The entries where the first of DICOM's names was, else at the end."""
    if not names:
        return entries
    dicoms = [id(name) for name in _known_groups(names).values()]
    places = [index for index, name in enumerate(names) if id(name) in dicoms]
    others = [name for name in names if id(name) not in dicoms]
    place = places[0] if places else len(others)
    return others[:place] + entries + others[place:]
