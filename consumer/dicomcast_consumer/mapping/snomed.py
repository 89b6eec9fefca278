"""PS3.16 annex L: Body Part Examined (0018,0015) and SNOMED RT ids → SNOMED CT."""

from importlib import resources

from .fragments import Coding
from .terminology import SCT

__all__ = ["SNOMED_CT_OF_RT", "body_part_coding"]

SNOMED_CT_OF_RT = {
    "T-D3000": "816094009",  # chest
    "T-D4000": "818981001",  # abdomen
    "T-D6000": "816092008",  # pelvis
    "R-FAB57": "818982008",  # abdomen and pelvis
    "R-FAB58": "1231522001",  # pelvis and lower extremities
    "T-D00F7": "1217257000",  # cervico-thoracic spine
    "T-D00F8": "1217256009",  # thoraco-lumbar spine
    "T-D00F9": "1217253001",  # lumbo-sacral spine
}
"""SNOMED RT id → SNOMED CT where annex L has moved on from pydicom's table, which keeps the older concept."""


def _read_table() -> dict[str, Coding]:
    text = resources.files(__package__).joinpath("body_parts.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines()[1:])
    return {part: Coding(system=SCT, code=code, display=meaning) for part, code, meaning in rows}


_BODY_PARTS = _read_table()


def body_part_coding(value: str) -> Coding | None:
    """R4 series.bodySite of a CS that annex L has: the SNOMED CT code; None for anything else."""
    return _BODY_PARTS.get(value)
