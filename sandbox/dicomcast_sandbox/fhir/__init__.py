"""A FHIR R4 server for demos and tests, in memory: what the consumer uses, answered as HAPI FHIR 8.8 answers it.

It is a stand-in: it checks references, versions and conditions as a real server does, but does not validate profiles,
knows a dozen search parameters, and forgets everything when it ends. tests/contract/fhir/ holds it against HAPI.
"""

from dicomcast_sandbox.fhir.app import fhir_app
from dicomcast_sandbox.fhir.dialect import HAPI, STRICT, Dialect
from dicomcast_sandbox.fhir.faults import Faults, RequestSeen
from dicomcast_sandbox.fhir.journal import Journal, JournalEntry
from dicomcast_sandbox.fhir.store import Key, Store, Version

__all__ = [
    "HAPI",
    "STRICT",
    "Dialect",
    "Faults",
    "Journal",
    "JournalEntry",
    "Key",
    "RequestSeen",
    "Store",
    "Version",
    "fhir_app",
]
