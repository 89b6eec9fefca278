"""OperationOutcome, and the error that becomes one."""

from __future__ import annotations

from dicomcast_sandbox.fhir.json_text import JsonObject

RESPONSE_CODES = "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code"


class FhirError(Exception):
    """The request is refused with `status`; `diagnostics` goes into the OperationOutcome."""

    def __init__(self, status: int, diagnostics: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(diagnostics)
        self.status = status
        self.diagnostics = diagnostics
        self.headers = headers or {}


def error_outcome(diagnostics: str, *, code: str = "processing") -> JsonObject:
    """HAPI's one issue code for every error is `processing`: readers must go by the HTTP status."""
    issue = {"severity": "error", "code": code, "diagnostics": diagnostics}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def success_outcome(code: str, diagnostics: str) -> JsonObject:
    """The outcome beside a 2xx; `code` is HAPI's storage response code (SUCCESSFUL_UPDATE_NO_CHANGE, ...)."""
    issue = {
        "severity": "information",
        "code": "informational",
        "details": {"coding": [{"system": RESPONSE_CODES, "code": code}]},
        "diagnostics": diagnostics,
    }
    return {"resourceType": "OperationOutcome", "issue": [issue]}
