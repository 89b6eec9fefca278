"""What a DICOM UID looks like. Pure, and quick to import: the mapping, which tolerates more, is not."""

import re
from typing import Final

__all__ = ["is_uid"]

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)+")
_LONGEST: Final = 64


def is_uid(text: str) -> bool:
    """Digits and dots, at most 64 characters (PS3.5 9.1). A number alone is nobody's UID, but may be a patient's."""
    return len(text) <= _LONGEST and _UID.fullmatch(text) is not None
