"""The page for people at /: what the server holds. No patient's values unless they are asked for."""

from __future__ import annotations

from html import escape
from typing import Any

from dicomcast_sandbox.fhir.criteria import values_at
from dicomcast_sandbox.fhir.json_text import JsonObject
from dicomcast_sandbox.fhir.references import literal_key
from dicomcast_sandbox.fhir.store import Store, Version

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;vertical-align:top;"
    "padding:.2rem 1rem .2rem 0;border-bottom:1px solid #8884}td.n{text-align:right}"
    "code{background:#8882;padding:0 .2rem}"
    "td.uid{font-family:ui-monospace,monospace;font-size:.85em;word-break:break-all}"
)
MAX_ROWS = 200
_HEADINGS = (
    "Study Instance UID",
    "modality",
    "series",
    "instances",
    "status",
    "version",
    "last updated",
    "patient",
    "",
)


def status_page(store: Store, *, show_patients: bool) -> str:
    """HTML with the counts and a table of the studies, newest last; names and ids of patients with `show_patients`."""
    studies = store.all("ImagingStudy")
    counts = "".join(f"<tr><th scope=row>{name}</th><td class=n>{n}</td></tr>" for name, n in store.counts().items())
    toggle = '<a href="/">Hide patients</a>' if show_patients else '<a href="/?patients=shown">Show patients</a>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox FHIR server</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>Sandbox FHIR server</h1><p>R4, in memory, for demos and tests: a stand-in that forgets everything.</p>"
        f"<h2>Resources</h2>{f'<table>{counts}</table>' if counts else '<p>None yet.</p>'}"
        f"<h2>Studies</h2>{_study_table(store, studies, show_patients) if studies else '<p>None yet.</p>'}"
        f"<p>{toggle}</p>"
        '<h2>Where to look</h2><ul><li><a href="/fhir/metadata">/fhir/metadata</a></li>'
        '<li><a href="/fhir/ImagingStudy?_include=ImagingStudy:subject&amp;_include=ImagingStudy:endpoint">'
        "/fhir/ImagingStudy</a> with what they refer to</li>"
        '<li><a href="/fhir/Endpoint">/fhir/Endpoint</a></li>'
        "<li><code>GET /fhir/ImagingStudy?identifier=urn:dicom:uid|urn:oid:…</code></li></ul></body></html>"
    )


def _study_table(store: Store, studies: list[Version], show_patients: bool) -> str:
    shown = studies[-MAX_ROWS:]
    note = "" if len(shown) == len(studies) else f"<p>The last {len(shown)} of {len(studies)}.</p>"
    headings = "".join(f"<th>{heading}</th>" for heading in _HEADINGS)
    rows = "".join(_study_row(store, study, show_patients) for study in shown)
    return f"{note}<table><tr>{headings}</tr>{rows}</table>"


def _study_row(store: Store, study: Version, show_patients: bool) -> str:
    resource = study.content()
    series = resource.get("series", [])
    instances = sum(len(one.get("instance", [])) for one in series)
    modality = ", ".join(_text(resource, "modality", "code"))
    links = f'<a href="/fhir/{study.key}">JSON</a> <a href="/fhir/{study.key}/_history">history</a>'
    cells = (
        ("uid", escape(_study_uid(resource))),
        ("", escape(modality)),
        ("n", str(len(series))),
        ("n", str(instances)),
        ("", escape(str(resource.get("status", "")))),
        ("n", str(study.number)),
        ("", escape(study.at.partition(".")[0].replace("T", " "))),
        ("", _patient(store, resource, show_patients)),
        ("", links),
    )
    return "<tr>" + "".join(f'<td class="{style}">{cell}</td>' for style, cell in cells) + "</tr>"


def _patient(store: Store, study: JsonObject, show_patients: bool) -> str:
    key = literal_key(str(study.get("subject", {}).get("reference", "")))
    patient = store.live(key) if key is not None else None
    if patient is None:
        return ""
    link = f'<a href="/fhir/{patient.key}">{patient.key}</a>'
    if not show_patients:
        return link
    resource = patient.content()
    names = [*_text(resource, "name", "family"), *_text(resource, "name", "given")]
    return f"{link} {escape(' '.join(_text(resource, 'identifier', 'value')))} {escape(' '.join(names))}"


def _study_uid(study: JsonObject) -> str:
    values = [one.get("value", "") for one in study.get("identifier", []) if one.get("system") == "urn:dicom:uid"]
    return str(values[0]).removeprefix("urn:oid:") if values else ""


def _text(node: Any, *path: str) -> list[str]:
    return [str(value) for value in values_at(node, path)]
