"""Instances that a study has without listing them (`instances=none`): a digest of each SOP Instance UID.

A study of 16,000 instances takes some 3 MB as R4 lists them, more than many FHIR servers accept, and is written anew
with each change. The digests take 200 kB, and all that needs the list still holds: counts, second stores, deletions.
"""

import base64
import hashlib
from collections.abc import Iterable

from .identity import BASE_URI, Resource

__all__ = ["URL", "digest", "digests", "size", "with_digests"]

URL = f"{BASE_URI}/StructureDefinition/unlisted-instances"
"""series.extension: the digests, one after the other, sorted."""
_BYTES = 9
_LENGTH = _BYTES * 4 // 3


def digest(sop_instance_uid: str) -> str:
    """72 bits of SHA-256 in base64url: of a million instances no two have the same by chance."""
    return base64.urlsafe_b64encode(hashlib.sha256(sop_instance_uid.encode()).digest()[:_BYTES]).decode()


def digests(series: Resource) -> list[str]:
    """Those that an ImagingStudy.series has."""
    if "extension" not in series:
        return []
    texts = [str(e.get("valueString") or "") for e in series["extension"] or () if e.get("url") == URL]
    return [text[i : i + _LENGTH] for text in texts for i in range(0, len(text), _LENGTH)]


def size(series: Resource) -> int:
    """How many instances an ImagingStudy.series has, listed or not."""
    return len(series.get("instance") or ()) + len(digests(series))


def with_digests(series: Resource, found: Iterable[str]) -> Resource:
    """The series with these digests and no others. Other extensions stay, first."""
    extensions = [e for e in series.get("extension") or () if e.get("url") != URL]
    text = "".join(sorted(found))
    if text:
        extensions.append({"url": URL, "valueString": text})
    others = {name: value for name, value in series.items() if name != "extension"}
    return {**others, "extension": extensions} if extensions else others
