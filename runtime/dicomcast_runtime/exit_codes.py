"""Exit codes of the commands: an API for supervisors and scripts (numbers of BSD sysexits where one fits)."""

from enum import IntEnum

__all__ = ["ExitCode"]


class ExitCode(IntEnum):
    """Why a command ended."""

    OK = 0
    """Done, or drained after SIGTERM or SIGINT."""
    DIFFERENCES = 1
    """`verify` found differences."""
    CONFIGURATION = 64
    """A setting or a command line is wrong, or a peer cannot do what is needed (EX_USAGE). Do not restart: mend it."""
    INPUT = 65
    """Some of the input given on the command line was rejected; the rest was written (EX_DATAERR)."""
    DEPENDENCY = 69
    """Kafka, the DICOM server or the FHIR server stayed away past its limit (EX_UNAVAILABLE). Restart."""
    WATCHDOG = 70
    """The process was stuck and ended itself (EX_SOFTWARE). Restart; report it."""
    FENCED = 75
    """Another instance has taken over (EX_TEMPFAIL)."""
    CONTRACT = 78
    """The contract is broken: topic, schema, feed identity, a sequence or an offset out of range (EX_CONFIG). A person
    must decide; a restart finds the same."""
    INTERRUPTED = 130
    """Ctrl-C or SIGTERM ended a command before it was through, as of a shell."""
