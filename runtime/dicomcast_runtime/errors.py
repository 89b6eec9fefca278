"""Why a process ends, each with its exit code.

    StopError                 the process ends
    ├── ConfigurationError    64  a setting is wrong, or a peer lacks what is needed
    ├── InputError            65  input given on the command line was rejected
    ├── DependencyError       69  a peer stayed away past its limit
    ├── WatchdogError         70  the process was stuck
    ├── FencedError           75  another instance has taken over
    └── BrokenContractError   78  topic, schema, feed identity, sequence or offset out of range

The text of each is for the person who has to mend it: it names the setting or the record and the way out, and holds
neither a secret nor patient data.
"""

from typing import ClassVar

from .exit_codes import ExitCode

__all__ = [
    "BrokenContractError",
    "ConfigurationError",
    "DependencyError",
    "FencedError",
    "InputError",
    "StopError",
    "WatchdogError",
]


class StopError(Exception):
    """The process ends with `exit_code`."""

    exit_code: ClassVar[ExitCode]


class ConfigurationError(StopError):
    """A setting is wrong, or a peer cannot do what is needed."""

    exit_code = ExitCode.CONFIGURATION


class InputError(StopError):
    """Input given on the command line was rejected."""

    exit_code = ExitCode.INPUT


class DependencyError(StopError):
    """A peer stayed away past its limit."""

    exit_code = ExitCode.DEPENDENCY


class WatchdogError(StopError):
    """The process was stuck."""

    exit_code = ExitCode.WATCHDOG


class FencedError(StopError):
    """Another instance with the same transactional id has taken over."""

    exit_code = ExitCode.FENCED


class BrokenContractError(StopError):
    """What the process finds contradicts what it may rely on; going on would lose or double something."""

    exit_code = ExitCode.CONTRACT
