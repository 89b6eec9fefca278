"""PS3.16 annex L: Body Part Examined (0018,0015) and SNOMED RT ids → SNOMED CT."""

from .fragments import Coding
from .terminology import SCT

__all__ = ["SNOMED_CT_OF_RT", "body_part_coding"]

SNOMED_CT_OF_RT = {"T-D3000": "816094009", "T-D4000": "818981001"}
"""SNOMED RT id → SNOMED CT, where annex L differs from the older dictionary of pydicom."""

BODY_PARTS = {"CHEST": ("816094009", "Chest"), "ABDOMEN": ("818981001", "Abdomen"), "HEAD": ("69536005", "Head")}


def body_part_coding(value: str) -> Coding:
    """R4 series.bodySite of a CS: the SNOMED CT code of annex L, else only a display."""
    found = BODY_PARTS.get(value)
    return Coding(system=SCT, code=found[0], display=found[1]) if found else Coding(display=value)
