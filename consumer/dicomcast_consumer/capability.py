"""What a FHIR server's CapabilityStatement must say, and what it should (R4 CapabilityStatement.rest). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dicomcast_runtime.errors import ConfigurationError

from .mapping_options import MappingOptions

__all__ = [
    "Capability",
    "ResourceCapability",
    "capability_of",
    "require_capability",
    "require_r4",
    "require_transaction",
    "require_types",
    "search_doubts",
    "write_doubts",
]

_NEEDED: Final = {
    "Patient": ("identifier",),
    "Endpoint": ("identifier", "connection-type", "name"),
    "ImagingStudy": ("identifier",),
}
"""Types that are always written, and the search parameters that find them again."""
_DOSES: Final = "Observation"
_WRITES: Final = ("create", "update")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceCapability:
    """What is said of one type."""

    interactions: frozenset[str]
    search_parameters: frozenset[str]
    conditional_create: bool
    versioning: str
    """`no-version`, `versioned`, `versioned-update`, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Capability:
    """What is said of the server."""

    fhir_version: str
    interactions: frozenset[str]
    resources: Mapping[str, ResourceCapability]


def capability_of(statement: Mapping[str, Any]) -> Capability:
    """The statement as far as it is understood; what has another shape than R4's counts as not said."""
    rests = list(_objects([statement], "rest"))
    return Capability(
        fhir_version=str(statement.get("fhirVersion") or ""),
        interactions=_named(rests, "interaction", "code"),
        resources={str(found.get("type")): _resource(found) for found in _objects(rests, "resource")},
    )


def require_capability(capability: Capability, options: MappingOptions) -> None:
    """Raises ConfigurationError when the server lacks what nothing works without."""
    require_r4(capability)
    require_transaction(capability)
    require_types(capability, options)


def require_r4(capability: Capability) -> None:
    """Raises ConfigurationError for another version of FHIR."""
    if not capability.fhir_version.startswith("4.0."):
        raise ConfigurationError(
            f"DICOMCAST_FHIR__URL: the server speaks FHIR {capability.fhir_version or 'of no stated version'}, R4 "
            "(4.0.1) is needed"
        )


def require_transaction(capability: Capability) -> None:
    """Raises ConfigurationError for a server without transactions."""
    if "transaction" not in capability.interactions:
        raise ConfigurationError(
            "DICOMCAST_FHIR__URL: the server's CapabilityStatement has no transaction interaction: allow it there, or "
            "take a server that has it"
        )


def require_types(capability: Capability, options: MappingOptions) -> None:
    """Raises ConfigurationError when the server has resource types, but not those that are written."""
    missing = [name for name in _NEEDED if capability.resources and name not in capability.resources]
    if missing:
        raise ConfigurationError(
            f"DICOMCAST_FHIR__URL: the server's CapabilityStatement has no {' and no '.join(missing)}: allow the type "
            "there, or take a server that has it"
        )
    if options.observations == "dose" and _DOSES not in capability.resources:
        raise ConfigurationError(
            "DICOMCAST_FHIR__URL: the server's CapabilityStatement has no Observation, which "
            "DICOMCAST_MAPPING__OBSERVATIONS=dose needs"
        )


def search_doubts(capability: Capability, options: MappingOptions) -> tuple[str, ...]:
    """What the statement does not say of searches that find our resources again."""
    unsaid = [
        f"{name}?{parameter}"
        for name, parameters in _used(options).items()
        if (found := capability.resources.get(name)) is not None
        for parameter in parameters
        if parameter not in found.search_parameters
    ]
    if not unsaid:
        return ()
    return (f"the CapabilityStatement does not list the searches {', '.join(unsaid)}: enable them at the server",)


def write_doubts(capability: Capability, options: MappingOptions) -> tuple[str, ...]:
    """What the statement does not say of the writes: ifNoneExist, If-Match, and the interactions themselves."""
    known = {name: found for name in _used(options) if (found := capability.resources.get(name)) is not None}
    doubling = [name for name, found in known.items() if not found.conditional_create]
    unversioned = [name for name, found in known.items() if found.versioning in ("", "no-version")]
    unsaid = [
        f"{code} {name}"
        for name, said in known.items()
        for code in (*_WRITES, *(("delete",) if name == "ImagingStudy" else ()))
        if code not in said.interactions
    ]
    doubts = []
    if doubling:
        doubts.append(
            f"the CapabilityStatement promises no conditional create of {', '.join(doubling)}: two members that meet "
            "a new one at the same time may double it"
        )
    if unversioned:
        doubts.append(
            f"the CapabilityStatement promises no versions of {', '.join(unversioned)}: without them If-Match cannot "
            "keep one writer from overwriting another; enable versioning at the server"
        )
    if unsaid:
        doubts.append(f"the CapabilityStatement does not list {', '.join(unsaid)}: allow them at the server")
    return tuple(doubts)


def _used(options: MappingOptions) -> dict[str, tuple[str, ...]]:
    return _NEEDED | ({_DOSES: ("identifier",)} if options.observations == "dose" else {})


def _resource(found: Mapping[str, Any]) -> ResourceCapability:
    return ResourceCapability(
        interactions=_named([found], "interaction", "code"),
        search_parameters=_named([found], "searchParam", "name"),
        conditional_create=found.get("conditionalCreate") is True,
        versioning=str(found.get("versioning") or ""),
    )


def _named(objects: Iterable[Mapping[str, Any]], element: str, name: str) -> frozenset[str]:
    return frozenset(str(found[name]) for found in _objects(objects, element) if name in found)


def _objects(parents: Iterable[Mapping[str, Any]], element: str) -> Iterable[Mapping[str, Any]]:
    for parent in parents:
        found = parent.get(element)
        yield from (item for item in found if isinstance(item, dict)) if isinstance(found, list) else ()
