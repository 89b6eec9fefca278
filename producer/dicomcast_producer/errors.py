"""What can go wrong in the producer, named by what the loop does about it.

    RetryableError              wait and do the same again: the DICOM server or Kafka is away, or not itself
    ConfigurationError …        the process ends: dicomcast_runtime.errors.StopError and its kinds
    ├── BrokenContractError
    │   └── UnreadableCursorError      its record cannot be understood: `cursor set` replaces it
    ├── FencedError
    │   └── TransactionTimedOutError   likewise, but a transaction has outlived its timeout or the producer its id
    └── DependencyError
        └── ClientBrokenError          the Kafka client will do nothing more, as after a broker that was killed

The kinds below the last two are no end while the cursor is still this instance's: it begins anew with another client.

PoisonedPageError stays inside the change feed's client: the page is read again in smaller parts.
"""

from dicomcast_runtime.errors import BrokenContractError, DependencyError, FencedError

__all__ = [
    "ClientBrokenError",
    "PoisonedPageError",
    "RetryableError",
    "TransactionTimedOutError",
    "UnreadableCursorError",
]


class RetryableError(Exception):
    """Nothing is lost and nothing was half done: the same call may succeed later."""

    def __init__(self, text: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s
        """What the server's Retry-After asked for."""


class PoisonedPageError(Exception):
    """The server failed on a page as it does when one instance of it is broken; `body` when it was not JSON."""

    def __init__(self, text: str, *, body: bytes = b"") -> None:
        super().__init__(text)
        self.body = body


class UnreadableCursorError(BrokenContractError):
    """The cursor's record cannot be understood."""

    def __init__(self, fault: str) -> None:
        super().__init__(f"the cursor record cannot be read ({fault}): run `dicomcast-producer cursor set --to ...`")


class TransactionTimedOutError(FencedError):
    """The broker has ended the transaction or forgotten the producer: most likely the one took longer than its timeout,
    as after an outage, or the other published nothing for a week (`transactional.id.expiration.ms`)."""


class ClientBrokenError(DependencyError):
    """A fatal error of the client that is no fence: what was committed is committed, the rest needs a new client."""
