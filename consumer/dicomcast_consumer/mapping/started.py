"""ImagingStudy.started and series.started, with the period that a time of unknown UTC offset can lie in."""

from .as_of import is_vaguer_date, offer
from .identity import Resource
from .marks import Marks
from .values import Mark

__all__ = ["offer_started"]

UNCERTAIN_PERIOD = "http://hl7.org/fhir/StructureDefinition/uncertainPeriod"
_DATE = len("2024-01-31")


def offer_started(
    target: Resource, started: str | None, between: tuple[str, str] | None, *, name: str, mark: Mark, marks: Marks
) -> None:
    """Set target["started"] if the rule of `as_of` says so, and extension uncertainPeriod of it likewise.

    A date without time says less than one with a period: it neither takes the period away nor keeps an older one out.
    """
    if started is None:
        return
    before, is_older = target.get("started"), marks.is_older(mark, name)
    offer(target, "started", started, name=name, mark=mark, marks=marks, is_vaguer=is_vaguer_date)
    if target["started"] != started or (between is None and "_started" not in target):
        return
    says_nothing = between is None and len(started) <= _DATE
    fills = is_older and len(started) <= _DATE and not _has_period(target)
    if before != started or fills or not (is_older or says_nothing):
        _set_period(target, between)


def _has_period(target: Resource) -> bool:
    return any(e.get("url") == UNCERTAIN_PERIOD for e in (target.get("_started") or {}).get("extension") or ())


def _set_period(target: Resource, between: tuple[str, str] | None) -> None:
    element = dict(target.get("_started") or {})
    extensions = [e for e in element.pop("extension", None) or () if e.get("url") != UNCERTAIN_PERIOD]
    if between is not None:
        extensions.append({"url": UNCERTAIN_PERIOD, "valuePeriod": {"start": between[0], "end": between[1]}})
    if extensions:
        element["extension"] = extensions
    if element:
        target["_started"] = element
    else:
        target.pop("_started", None)
