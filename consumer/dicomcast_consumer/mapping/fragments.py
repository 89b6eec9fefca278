"""The parts of FHIR resources that attributes become: small frozen values, equal when their content is."""

from collections.abc import Iterable
from dataclasses import dataclass

from .identity import ACCESSION_CODE, URI_SYSTEM, V2_0203, Resource, token, urn_oid
from .terminology import DCM

__all__ = [
    "AccessionNumber",
    "Coding",
    "Concept",
    "Frames",
    "LogicalReference",
    "NameGroup",
    "PatientIdentifier",
    "Performer",
    "PersonName",
]

PARTICIPATION_TYPE = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def _filled(**elements: object) -> Resource:
    """Only the elements that have a value: FHIR knows no empty ones."""
    return {name: value for name, value in elements.items() if value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coding:
    """R4 Coding. Without a code there is no system either: then `display` alone says what DICOM had."""

    system: str | None = None
    version: str | None = None
    code: str | None = None
    display: str | None = None

    def json(self) -> Resource:
        """The element."""
        return _filled(system=self.system, version=self.version, code=self.code, display=self.display)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """R4 CodeableConcept."""

    coding: Coding | None = None
    text: str | None = None

    def json(self) -> Resource:
        """The element."""
        return _filled(coding=[self.coding.json()] if self.coding else None, text=self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientIdentifier:
    """PatientID with the system it is unique in."""

    value: str
    system: str | None = None
    placeholder: bool = False
    """True when there was no PatientID and the study identifies the Patient."""
    use: str | None = None
    type_code: str | None = None
    """A code of v2-0203."""

    @property
    def token(self) -> str:
        """The value of the search parameter `identifier`, escaped."""
        return token(self.system, self.value)

    def names(self, identifiers: Iterable[Resource]) -> bool:
        """Whether one of R4 Identifier elements is this one."""
        return any(i.get("value") == self.value and (i.get("system") or None) == self.system for i in identifiers)

    def json(self) -> Resource:
        """The element."""
        kind = {"coding": [{"system": V2_0203, "code": self.type_code}]} if self.type_code else None
        return _filled(use=self.use, type=kind, system=self.system, value=self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessionNumber:
    """AccessionNumber with the system of its issuer, where known."""

    value: str
    system: str | None = None
    is_profiled: bool = False
    """An implementation guide wants the DICOM code beside that of HL7 in basedOn."""

    def identifier(self) -> Resource:
        """R4 Identifier of type ACSN (v2-0203)."""
        return self._identifier({"system": V2_0203, "code": ACCESSION_CODE})

    def request(self) -> Resource:
        """R4 ImagingStudy.basedOn: a logical reference to the order."""
        codings = [{"system": V2_0203, "code": ACCESSION_CODE}]
        if self.is_profiled:
            codings.append({"system": DCM, "code": "121022", "display": "Accession Number"})
        return {"type": "ServiceRequest", "identifier": self._identifier(*codings)}

    def _identifier(self, *codings: Resource) -> Resource:
        return _filled(type={"coding": list(codings)}, system=self.system, value=self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameGroup:
    """One component group of a PN: alphabetic, ideographic or phonetic (PS3.5 6.2.1)."""

    family: str | None = None
    given: tuple[str, ...] = ()
    prefix: tuple[str, ...] = ()
    suffix: tuple[str, ...] = ()

    def json(self) -> Resource:
        """The components of R4 HumanName."""
        return _filled(family=self.family, given=list(self.given), prefix=list(self.prefix), suffix=list(self.suffix))

    def display(self) -> str:
        """Prefix given middle family suffix, one space between."""
        family = (self.family,) if self.family else ()
        return " ".join(" ".join((*self.prefix, *self.given, *family, *self.suffix)).split())


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonName:
    """A PN with its up to three component groups, by the codes of iso21090-EN-representation."""

    ABC: NameGroup | None = None
    IDE: NameGroup | None = None
    SYL: NameGroup | None = None

    @property
    def groups(self) -> dict[str, NameGroup]:
        """The groups that have a component, alphabetic first."""
        found = (("ABC", self.ABC), ("IDE", self.IDE), ("SYL", self.SYL))
        return {code: group for code, group in found if group}

    def display(self) -> str:
        """The first group as text."""
        return next((group.display() for group in self.groups.values()), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogicalReference:
    """Somebody or something that DICOM names and FHIR need not know: no resource is made."""

    kind: str
    """Type of the resource that it would be, such as Practitioner."""
    display: str | None = None
    system: str | None = None
    value: str | None = None
    value_type: str | None = None
    """What the identifier is, as a code of v2-0203."""

    def json(self) -> Resource:
        """R4 Reference."""
        identifier = None
        if self.value:
            kind = {"coding": [{"system": V2_0203, "code": self.value_type}]} if self.value_type else None
            identifier = _filled(type=kind, system=self.system, value=self.value)
        return _filled(type=self.kind, identifier=identifier, display=self.display)


@dataclass(frozen=True, slots=True, kw_only=True)
class Performer:
    """R4 ImagingStudy.series.performer."""

    function: str
    """A code of v3-ParticipationType."""
    actor: LogicalReference

    def json(self) -> Resource:
        """The element."""
        function = {"coding": [{"system": PARTICIPATION_TYPE, "code": self.function}]}
        return {"function": function, "actor": self.actor.json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How many frames an instance has, as the extension of an implementation guide."""

    url: str
    count: int

    def json(self) -> Resource:
        """The extension."""
        return {"url": self.url, "valueInteger": self.count}


def is_accession_request(reference: Resource) -> bool:
    """Whether a reference is one that `AccessionNumber.request` makes, whatever its number."""
    kind = (reference.get("identifier") or {}).get("type") or {}
    codes = [coding.get("code") for coding in kind.get("coding") or ()]
    return "reference" not in reference and reference.get("type") == "ServiceRequest" and ACCESSION_CODE in codes


def sop_class_coding(sop_class_uid: str, display: str | None = None) -> Resource:
    """R4 ImagingStudy.series.instance.sopClass."""
    return _filled(system=URI_SYSTEM, code=urn_oid(sop_class_uid), display=display)
