"""Radiation dose reports built from the templates of PS3.16 (TID 10001 projection X-ray, 10011 CT, 10021
radiopharmaceutical): synthetic, no device wrote them. By keyword, as `scene.attributes` takes them."""

from typing import Any

from tests.unit.mapping.scene import code

Item = dict[str, Any]

XRAY_CLASS = "1.2.840.10008.5.1.4.1.1.88.67"
RADIOPHARMACEUTICAL_CLASS = "1.2.840.10008.5.1.4.1.1.88.68"
XRAY_ROOT = code("113701", "DCM", "X-Ray Radiation Dose Report")
RADIOPHARMACEUTICAL_ROOT = code("113500", "DCM", "Radiopharmaceutical Radiation Dose Report")


def item(kind: str, concept: str | tuple[str, str, str], *children: Item, by: str = "CONTAINS", **value: Any) -> Item:
    """A content item; a concept without scheme is of DCM."""
    name = (concept, "DCM", f"meaning of {concept}") if isinstance(concept, str) else concept
    found: Item = {"RelationshipType": by, "ValueType": kind, "ConceptNameCodeSequence": code(*name), **value}
    return {**found, "ContentSequence": list(children)} if children else found


def container(concept: str, *children: Item) -> Item:
    return item("CONTAINER", concept, *children)


def num(concept: str, value: Any, unit: str, *children: Item, meaning: str | None = None, scheme: str = "UCUM") -> Item:
    measured = {"NumericValue": value, "MeasurementUnitsCodeSequence": code(unit, scheme, meaning or unit)}
    return item("NUM", concept, *children, MeasuredValueSequence=measured)


def coded(concept: str | tuple[str, str, str], value: Item, *children: Item, by: str = "CONTAINS") -> Item:
    return item("CODE", concept, *children, by=by, ConceptCodeSequence=value)


def uid(value: str, concept: str = "113769") -> Item:
    return item("UIDREF", concept, UID=value)


def moment(value: str, concept: str = "111526") -> Item:
    return item("DATETIME", concept, DateTime=value)


def plane(value: str, meaning: str) -> Item:
    return coded("113764", code(value, "DCM", meaning), by="HAS CONCEPT MOD")


SINGLE = plane("113622", "Single Plane")


def accumulated(*children: Item, plane: Item = SINGLE) -> Item:
    """TID 10002."""
    return container("113702", plane, *children)


def xray_event(event_uid: str, *children: Item, started: str = "20240501101500", plane: Item = SINGLE) -> Item:
    """TID 10003."""
    return container("113706", plane, moment(started), uid(event_uid), *children)


def ct_event(event_uid: str, ctdi: str, dlp: str, *, started: str | None = None) -> Item:
    """TID 10013: the doses are in a container of their own."""
    dose = container(
        "113829",
        num("113830", ctdi, "mGy"),
        coded("113835", code("113691", "DCM", "IEC Body Dosimetry Phantom")),
        num("113838", dlp, "mGy.cm"),
    )
    region = coded("123014", code("T-D3000", "SRT", "Chest"))
    return container("113819", region, uid(event_uid), *([moment(started)] if started else []), dose)


def report(*children: Item, root: Item = XRAY_ROOT, **by_keyword: Any) -> dict[str, Any]:
    """What an SR instance has beyond any other."""
    return {
        "SOPClassUID": RADIOPHARMACEUTICAL_CLASS if root is RADIOPHARMACEUTICAL_ROOT else XRAY_CLASS,
        "Modality": "SR",
        "CompletionFlag": "COMPLETE",
        "ValueType": "CONTAINER",
        "ConceptNameCodeSequence": root,
        "ContentSequence": list(children),
        **by_keyword,
    }


def ct_report(*events: str, dlp: str = "456.70", **by_keyword: Any) -> dict[str, Any]:
    """TID 10011 with an event of each UID."""
    found = [ct_event(event, "12.30", "228.35", started=f"2024050110{n:02}00") for n, event in enumerate(events)]
    total = container("113811", num("113812", str(len(events)), "{events}"), num("113813", dlp, "mGy.cm"))
    return report(moment("20240501100000", "113809"), total, *found, **by_keyword)
