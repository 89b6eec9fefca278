"""R4 Observations of a radiation dose report: the dose summary, and one per irradiation event.

An Observation is found by two identifiers together: its own UID (SOP Instance UID of the report, or event UID), and the
study it belongs to. So an event that is reported in two studies is an Observation in each: a study is all that is
written at once, and what is deleted with it must be nobody else's. Who adds up doses counts an event UID once.
"""

from collections.abc import Iterable, Sequence

from .dose_terms import EVENT_CODE, SUMMARY_CODE, Term
from .dose_values import Component, DoseReport, IrradiationEvent, Quantity
from .fragments import Concept
from .identity import BASE_URI, DICOM_UID_SYSTEM, Resource, our_tag, token, urn_oid
from .order import ordered
from .terminology import DCM, SCHEME_URIS, UCUM

__all__ = [
    "STUDY_OF_DOSE_SYSTEM",
    "dose_study_token",
    "dose_tokens",
    "dose_uid",
    "doses_to_delete",
    "event_observation",
    "is_summary",
    "summary_observation",
]

STUDY_OF_DOSE_SYSTEM = f"{BASE_URI}/NamingSystem/study-of-dose"
"""Identifier.system of the study in an Observation of ours; the value is `urn:oid:` + Study Instance UID."""

_CATEGORY = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/observation-category",
            "code": "imaging",
            "display": "Imaging",
        }
    ]
}
_LOINC = SCHEME_URIS["LN"]
_SUMMARY = {
    "coding": [{"system": _LOINC, "code": SUMMARY_CODE}],
    "text": "Radiation exposure and protection information",
}
_EVENT = {"coding": [{"system": DCM, "code": EVENT_CODE, "display": "Irradiation Event"}], "text": "Irradiation Event"}


def dose_study_token(study_instance_uid: str) -> str:
    """The search token that finds all dose Observations of a study."""
    return token(STUDY_OF_DOSE_SYSTEM, urn_oid(study_instance_uid))


def dose_tokens(uid: str, study_instance_uid: str) -> tuple[str, str]:
    """The search tokens that, both together, find one Observation."""
    return token(DICOM_UID_SYSTEM, urn_oid(uid)), dose_study_token(study_instance_uid)


def dose_uid(observation: Resource) -> str | None:
    """The UID of one of ours: of its report when it is a summary, else of its event."""
    found = observation.get("identifier") or ()
    if not any(identifier.get("system") == STUDY_OF_DOSE_SYSTEM for identifier in found):
        return None
    values = [str(identifier.get("value")) for identifier in found if identifier.get("system") == DICOM_UID_SYSTEM]
    return values[0].removeprefix("urn:oid:") if values else None


def is_summary(observation: Resource) -> bool:
    """Whether one of ours is a dose summary."""
    codings = (observation.get("code") or {}).get("coding") or ()
    return any(coding.get("system") == _LOINC and coding.get("code") == SUMMARY_CODE for coding in codings)


def doses_to_delete(observations: Iterable[Resource]) -> list[str]:
    """References of Observations that are to go: the summaries first, because they refer to the events."""
    ordered_by_kind = sorted(observations, key=lambda one: (not is_summary(one), str(one["id"])))
    return [f"Observation/{one['id']}" for one in ordered_by_kind]


def summary_observation(
    uid: str, report: DoseReport, *, study_instance_uid: str, members: Sequence[str], source: str
) -> Resource:
    """The summary of the report with this SOP Instance UID; without subject and partOf. `members` are references."""
    found = {
        **_common(uid, report, study_instance_uid, source),
        "code": _SUMMARY,
        "effectiveDateTime": report.started,
        "valueString": _sentence(report.components),
        "hasMember": [{"reference": reference} for reference in members],
        "component": [_component(component) for component in report.components],
    }
    return _filled(found)


def event_observation(event: IrradiationEvent, report: DoseReport, *, study_instance_uid: str, source: str) -> Resource:
    """One event of the report; without subject and partOf."""
    found = {
        **_common(event.uid, report, study_instance_uid, source),
        "code": _EVENT,
        "effectiveDateTime": event.started,
        "bodySite": event.body_site.json() if event.body_site else None,
        "component": [_component(component) for component in event.components],
    }
    return _filled(found)


def _common(uid: str, report: DoseReport, study_instance_uid: str, source: str) -> Resource:
    accession = report.accession
    study = {"use": "secondary", "system": STUDY_OF_DOSE_SYSTEM, "value": urn_oid(study_instance_uid)}
    return {
        "resourceType": "Observation",
        "meta": {"source": source, "tag": [our_tag()]},
        "identifier": [{"system": DICOM_UID_SYSTEM, "value": urn_oid(uid)}, study],
        "basedOn": [accession.request()] if accession is not None and accession.system else None,
        "status": report.status,
        "category": [_CATEGORY],
    }


def _component(component: Component) -> Resource:
    value = component.value
    found: Resource = {"code": {"coding": [_coding(component.term)], "text": _name(component)}}
    if isinstance(value, Quantity):
        found["valueQuantity"] = _quantity(value)
    elif isinstance(value, Concept):
        found["valueCodeableConcept"] = value.json()
    else:
        found["valueString"] = value
    return found


def _coding(term: Term) -> Resource:
    system, code, display = term
    return {"system": system, "code": code, "display": display}


def _quantity(quantity: Quantity) -> Resource:
    """Not by `_filled`: a value of 0 is a value."""
    found: Resource = {"value": quantity.value}
    if quantity.unit:
        found["unit"] = quantity.unit
    if quantity.code:
        found |= {"system": UCUM, "code": quantity.code}
    return found


def _name(component: Component) -> str:
    where = f" ({', '.join(component.where)})" if component.where else ""
    return component.term[2] + where


def _sentence(components: Iterable[Component]) -> str | None:
    """The quantities in words, for people and for clients that show nothing but the value."""
    said = [
        f"{_name(component)} {component.value.value:f} {_unit_in_words(component.value)}".strip()
        for component in components
        if isinstance(component.value, Quantity)
    ]
    return "; ".join(said) or None


def _unit_in_words(quantity: Quantity) -> str:
    """Counts have none: in UCUM they are `1`, or an annotation such as `{events}`."""
    unit = quantity.code or quantity.unit or ""
    return "" if unit == "1" or (unit.startswith("{") and unit.endswith("}")) else unit


def _filled(resource: Resource) -> Resource:
    return ordered({name: value for name, value in resource.items() if value})
