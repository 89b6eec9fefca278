"""The page for people at /: counts and the last changes, no value of any data set."""

from __future__ import annotations

from dicomcast_sandbox.dicom.store import Store
from dicomcast_sandbox.dicom.timestamps import format_ticks

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}th,td{text-align:left;padding:.2rem 1rem .2rem 0;"
    "border-bottom:1px solid #8884}code{background:#8882;padding:0 .2rem}"
)
LAST_ROWS = 10


def status_page(store: Store) -> str:
    """HTML of what the server holds."""
    latest = store.latest(by_time=False)
    sequence = 0 if latest is None else latest.row.sequence
    counts = "".join(f"<tr><th scope=row>{name}</th><td>{count}</td></tr>" for name, count in store.counts().items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sandbox DICOM server</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        "<h1>Sandbox DICOM server</h1><p>In memory, for demos and tests. It is a stand-in, not an archive.</p>"
        f"<h2>What it holds</h2><table>{counts}<tr><th scope=row>latest sequence</th><td>{sequence}</td></tr></table>"
        f"<h2>Last changes</h2>{_last_rows(store, sequence)}"
        '<h2>Where to look</h2><ul><li><a href="/v2/studies">/v2/studies</a> (QIDO-RS)</li>'
        '<li><a href="/v1/changefeed?includeMetadata=false">/v1/changefeed</a>, '
        '<a href="/v2/changefeed?includeMetadata=false">/v2/changefeed</a>, '
        '<a href="/v1/changefeed/latest?includeMetadata=false">/v1/changefeed/latest</a></li>'
        "<li>STOW-RS: <code>POST /v2/studies</code>; "
        "<code>DELETE /v2/studies/{study}[/series/{series}[/instances/{instance}]]</code>; "
        "<code>GET …/metadata</code></li></ul></body></html>"
    )


def _last_rows(store: Store, sequence: int) -> str:
    entries = store.window(max(0, sequence - LAST_ROWS), LAST_ROWS)
    if not entries:
        return "<p>None yet.</p>"
    rows = "".join(
        f"<tr><td>{entry.row.sequence}</td><td>{entry.row.action}</td><td>{entry.state}</td>"
        f"<td>{format_ticks(entry.row.ticks)}</td></tr>"
        for entry in reversed(entries)
    )
    return f"<table><tr><th>sequence</th><th>action</th><th>state now</th><th>time</th></tr>{rows}</table>"
