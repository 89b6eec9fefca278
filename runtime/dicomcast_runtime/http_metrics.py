"""Requests to a peer, counted and timed: a transport around httpx's own."""

import time
from typing import Final

import httpx
from prometheus_client import CollectorRegistry, Counter, Histogram

__all__ = ["RequestMetrics"]

_SECONDS: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class RequestMetrics:
    """`<prefix>_requests_total{method,status}` and `<prefix>_request_duration_seconds{method}`."""

    def __init__(self, prefix: str, peer: str, registry: CollectorRegistry) -> None:
        """`peer`: its name in the help texts."""
        self._requests = Counter(
            f"{prefix}_requests",
            f"Requests to the {peer}, by method and status; status `error` where none was received.",
            ("method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            f"{prefix}_request_duration_seconds",
            f"Time from a request to the headers of its answer from the {peer}.",
            ("method",),
            buckets=_SECONDS,
            registry=registry,
        )

    def watch(self, client: httpx.AsyncClient) -> httpx.AsyncClient:
        """The same client, its requests counted from now on."""
        client._transport = _Metered(client._transport, self)
        return client

    def note(self, method: str, status: str, took_s: float) -> None:
        """One request has ended."""
        self._requests.labels(method, status).inc()
        self._seconds.labels(method).observe(took_s)


class _Metered(httpx.AsyncBaseTransport):
    def __init__(self, inner: httpx.AsyncBaseTransport, metrics: RequestMetrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        began_s, status = time.monotonic(), "error"
        try:
            response = await self._inner.handle_async_request(request)
            status = str(response.status_code)
            return response
        finally:
            self._metrics.note(request.method, status, time.monotonic() - began_s)

    async def aclose(self) -> None:
        await self._inner.aclose()
