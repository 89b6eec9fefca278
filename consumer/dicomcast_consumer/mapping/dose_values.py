"""What a radiation dose report says: frozen values, equal when their content is."""

from dataclasses import dataclass
from decimal import Decimal

from .dose_terms import Term
from .fragments import AccessionNumber, Concept

__all__ = ["Component", "DoseReport", "IrradiationEvent", "Quantity"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A NUM with the digits it was written with. Without `code` the unit is known by its words alone."""

    value: Decimal
    unit: str | None = None
    code: str | None = None
    """UCUM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One measurement; `where` tells it from its like: plane, laterality."""

    term: Term
    value: Quantity | Concept | str
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IrradiationEvent:
    """One irradiation, or one administration of a radiopharmaceutical, by its event UID."""

    uid: str
    started: str | None = None
    body_site: Concept | None = None
    components: tuple[Component, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseReport:
    """One report; `started` is its first irradiation, else the start of the study."""

    status: str
    """R4 observation-status: preliminary or final."""
    started: str | None
    accession: AccessionNumber | None
    components: tuple[Component, ...]
    events: tuple[IrradiationEvent, ...]
