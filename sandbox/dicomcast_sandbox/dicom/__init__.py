"""A DICOM server for demos and tests, in memory: STOW-RS, DELETE, WADO-RS metadata, QIDO-RS, the change feed v1 and v2.

It behaves as the Microsoft DICOM server does where a reader of the change feed can see it; it keeps no pixel data and
no files, and forgets everything when it ends.
"""

from dicomcast_sandbox.dicom.access import Access, Basic, Bearer, ClientCredentials, Open
from dicomcast_sandbox.dicom.app import dicom_app
from dicomcast_sandbox.dicom.faults import Faults, Journal, JournalEntry
from dicomcast_sandbox.dicom.instance import Instance, UnreadableInstanceError, instance_from_json, read_instance
from dicomcast_sandbox.dicom.store import AlreadyStoredError, Poison, Store

__all__ = [
    "Access",
    "AlreadyStoredError",
    "Basic",
    "Bearer",
    "ClientCredentials",
    "Faults",
    "Instance",
    "Journal",
    "JournalEntry",
    "Open",
    "Poison",
    "Store",
    "UnreadableInstanceError",
    "dicom_app",
    "instance_from_json",
    "read_instance",
]
