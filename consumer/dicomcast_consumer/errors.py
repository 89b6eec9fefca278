"""What can go wrong in the consumer, named by what the loop does about it.

    ConsumerError
    ├── RetryableError    again, after `retry_after_s` when the peer asked for it; counts against the FHIR server
    │   ├── UnreachableError  likewise, and no study's misfortune: there was no connection
    │   └── NoMetadataError   likewise, and the DICOM server's doing: the study waits, others go on
    ├── SystemicError     everything waits: no content would be accepted (403, wrong URL); one request tries again
    ├── HeldError         likewise, because most studies are refused; what was not refused is tried first
    ├── ConflictError     read again, without caches, and build anew: someone else wrote
    ├── NotProvenError    read again and prove again: no commit shows that the partition is still ours
    ├── RevokedError      forget it: the partition is another member's
    └── RejectedError     dead letter: this event will never be accepted as it is

What ends the process is a StopError of `dicomcast_runtime.errors`; of these UnfitRecordError stops its partition first.
No text holds patient data.
"""

from dicomcast_runtime.errors import BrokenContractError

from .rejection_guard import Verdicts

__all__ = [
    "ConflictError",
    "ConsumerError",
    "HeldError",
    "NoMetadataError",
    "NotProvenError",
    "RejectedError",
    "RetryableError",
    "RevokedError",
    "SystemicError",
    "UnfitRecordError",
    "UnreachableError",
]

REASONS = ("decode", "map", "fhir", "source")


class ConsumerError(Exception):
    """Anything the consumer raises on purpose."""


class RetryableError(ConsumerError):
    """The same request may succeed later.

    `retry_after_s` is what the peer asked for (Retry-After), or None.
    """

    def __init__(self, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after_s = retry_after_s


class UnreachableError(RetryableError):
    """No connection to the FHIR server: whatever the request held."""


class NoMetadataError(RetryableError):
    """The DICOM server does not give the metadata that an event came without."""


class SystemicError(ConsumerError):
    """The FHIR server refuses requests of this kind, whatever they hold: a person must change something there."""


class HeldError(ConsumerError):
    """The study was refused while most are: that says nothing of it, so it waits. `since`: what was decided by then."""

    def __init__(self, detail: str, *, since: Verdicts) -> None:
        super().__init__(detail)
        self.since = since


class ConflictError(ConsumerError):
    """What was read is not what is there any more."""


class NotProvenError(ConsumerError):
    """No commit of the partition, begun after the read, was accepted."""


class RevokedError(ConsumerError):
    """The partition was taken away before the write began."""


class UnfitRecordError(BrokenContractError):
    """The record at `offset` is not for a member that is set up like this one: nothing from there on is applied."""

    def __init__(self, detail: str, *, offset: int) -> None:
        super().__init__(detail)
        self.offset = offset


class RejectedError(ConsumerError):
    """The event goes to the dead-letter topic.

    `reason` is the value of the header dlq.reason, `code` a stable slug below it such as "map.patient_id_missing"
    (dlq.error.code), `detail` a sentence without patient data (dlq.error.message), `http_status` what FHIR answered.
    """

    def __init__(self, reason: str, code: str, detail: str, http_status: int | None = None) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason {reason!r} is none of {', '.join(REASONS)}")
        super().__init__(f"{code}: {detail}")
        self.reason = reason
        self.code = code
        self.detail = detail
        self.http_status = http_status
