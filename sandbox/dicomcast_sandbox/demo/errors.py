"""Why a demo ends before its end, on top of dicomcast_runtime.errors.

StopError
├── DependencyError
│   └── PartError         69  a part failed or something did not happen in time; carries the end of the part's log
└── DifferenceError        1  everything ran, and FHIR is not what it must be
"""

from dicomcast_runtime.errors import DependencyError, StopError
from dicomcast_runtime.exit_codes import ExitCode

__all__ = ["DifferenceError", "PartError"]


class PartError(DependencyError):
    """A part of the line ended or did not do its work in time; `log` is the end of what it wrote, by part."""

    def __init__(self, text: str, *, log: dict[str, list[str]]) -> None:
        super().__init__(text)
        self.log = log


class DifferenceError(StopError):
    """FHIR is not what it must be."""

    exit_code = ExitCode.DIFFERENCES
