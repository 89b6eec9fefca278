"""The garbage collector of a process that has started: what the imports left behind is not gone through again.

Half a million objects, of pydicom and fhir.resources for the most part, live as long as the process; and what passes
through it later, records and resources, is freed by its reference counts.
"""

import gc
from typing import Final

__all__ = ["settle"]

_YOUNG: Final = 10_000
"""Objects more than before at which the young ones are looked at; Python's own is 700."""


def settle() -> None:
    """To be called once, when the parts are together and before the loop begins."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 10, 10)
