"""The sandbox's FHIR server as one ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from dicomcast_sandbox.dicom.access import TOKEN_PATH, Access, AccessMiddleware, ClientCredentials, Open
from dicomcast_sandbox.fhir.dialect import HAPI, Dialect
from dicomcast_sandbox.fhir.faults import Faults, ObservedApp
from dicomcast_sandbox.fhir.journal import Journal
from dicomcast_sandbox.fhir.outcome import FhirError
from dicomcast_sandbox.fhir.page import status_page
from dicomcast_sandbox.fhir.responses import refused
from dicomcast_sandbox.fhir.routes import FhirRoutes
from dicomcast_sandbox.fhir.store import Store


class FhirApp(Starlette):
    """Starlette with the journal and the faults around all of it."""

    def build_middleware_stack(self) -> ASGIApp:
        """As Starlette's, inside ObservedApp."""
        inner = super().build_middleware_stack()
        return ObservedApp(inner, journal=self.state.journal, faults=self.state.faults)


def fhir_app(
    store: Store | None = None,
    *,
    journal: Journal | None = None,
    faults: Faults | None = None,
    dialect: Dialect = HAPI,
    access: Access | None = None,
) -> Starlette:
    """The server: FHIR at /fhir, a page for people at /. All it holds is in `store`; nothing outlives the process.

    With `access` only who is allowed to may use /fhir; the page is open, and so is /token with ClientCredentials.
    """
    store = Store() if store is None else store
    access = Open() if access is None else access

    async def front_page(request: Request) -> Response:
        show_patients = request.query_params.get("patients") == "shown"
        return HTMLResponse(status_page(store, show_patients=show_patients))

    tokens = [Route(TOKEN_PATH, access.token, methods=["POST"])] if isinstance(access, ClientCredentials) else []
    app = FhirApp(
        routes=[Route("/", front_page), *tokens, *FhirRoutes(store, dialect).routes()],
        middleware=[Middleware(AccessMiddleware, access=access)],
        exception_handlers={FhirError: refused, HTTPException: refused},
    )
    app.state.store = store
    app.state.journal = Journal() if journal is None else journal
    app.state.faults = Faults() if faults is None else faults
    return app
