"""What happens at the DICOM server: an endless, seeded story of studies that are stored, changed and deleted. Pure.

Every operation gives its instances a number that no earlier one had (InstanceNumber), so that FHIR shows which change
of an instance it holds, and likewise a study description and often a patient's name.
"""

import random
from dataclasses import dataclass, field
from typing import Any

__all__ = ["REFUSED_FROM", "Operation", "Story"]

Operation = dict[str, Any]
"""One change of the DICOM server's store, as JSON (see peer)."""

REFUSED_FROM = 1_900_000_000
"""Instance numbers from here on are refused by the FHIR server of the chaos run."""

_MODALITIES = ("CT", "MR", "US", "SR")
_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_MOST_STUDIES = 40


@dataclass(slots=True)
class _Study:
    uid: str
    patient: int
    series: dict[str, str] = field(default_factory=dict)
    """UID → modality."""
    instances: dict[str, str] = field(default_factory=dict)
    """SOP Instance UID → series UID."""
    counted: int = 0


class Story:
    """The operations of one seed."""

    def __init__(self, seed: int, *, patients: int = 12) -> None:
        self._random = random.Random(f"story {seed}")
        self._root = f"2.25.{seed}"
        self._patients = patients
        self._studies: list[_Study] = []
        self._counted = 0
        self._revision = 0

    def next(self) -> list[Operation]:
        """What happens next, all at once."""
        kinds = {
            self._new_study: 24,
            self._more: 30,
            self._update: 20,
            self._delete_instance: 9,
            self._delete_series: 3,
            self._delete_study: 6,
            self._store_again: 6,
            self._lose_metadata: 1,
            self._gap: 1,
        }
        if not self._studies:
            return self._new_study()
        if len(self._studies) >= _MOST_STUDIES:
            return self._delete_study()
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        return kind()

    def _new_study(self) -> list[Operation]:
        self._counted += 1
        study = _Study(f"{self._root}.{self._counted}", self._random.randrange(self._patients))
        self._studies.append(study)
        return [self._create(study) for _ in range(self._random.randint(1, 8))]

    def _more(self) -> list[Operation]:
        study = self._some()
        return [self._create(study) for _ in range(self._random.randint(1, 3))]

    def _create(self, study: _Study, sop: str | None = None) -> Operation:
        if sop is None:
            study.counted += 1
            sop = f"{study.uid}.9.{study.counted}"
            if not study.series or self._random.random() < 0.2:
                study.series[f"{study.uid}.{len(study.series) + 1}"] = self._random.choice(_MODALITIES)
            study.instances[sop] = self._random.choice(list(study.series))
        series = study.instances[sop]
        data_set = {
            "00080016": _value("UI", _SOP_CLASS),
            "00080018": _value("UI", sop),
            "00080020": _value("DA", "20260102"),
            "00080060": _value("CS", study.series[series]),
            "00100020": _value("LO", f"P{study.patient}"),
            "00100040": _value("CS", "F"),
            "0020000D": _value("UI", study.uid),
            "0020000E": _value("UI", series),
            **self._changed(study.patient, named=self._random.random() < 0.3),
        }
        self._spoil(data_set)
        return {"op": "create", "study": study.uid, "series": series, "sop": sop, "data_set": data_set}

    def _changed(self, patient: int, *, named: bool) -> dict[str, Any]:
        """What every operation changes."""
        self._revision += 1
        name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": f"Family{patient}^G{self._revision}"}]}}
        return {
            "00081030": _value("LO", f"study {self._revision}"),
            "00200013": _value("IS", self._revision),
            **(name if named else {}),
        }

    def _spoil(self, data_set: dict[str, Any]) -> None:
        """Makes one in forty an instance that must become a dead letter."""
        if self._random.random() > 0.025:
            return
        match self._random.randrange(4):
            case 0:
                del data_set["00100020"]
            case 1:
                del data_set["00080016"]
            case 2:
                data_set["0020000D"] = _value("UI", f"{self._root}.0")
            case _:
                data_set["00200013"] = _value("IS", REFUSED_FROM + self._revision)

    def _update(self) -> list[Operation]:
        study = self._some()
        changes = self._changed(study.patient, named=True)
        return [{"op": "update", "study": study.uid, "changes": changes}]

    def _delete_instance(self) -> list[Operation]:
        study = self._some()
        sop = self._random.choice(list(study.instances))
        operation = {"op": "delete", "study": study.uid, "series": study.instances.pop(sop), "sop": sop}
        self._forget_if_empty(study)
        return [operation]

    def _delete_series(self) -> list[Operation]:
        study = self._some()
        series = self._random.choice(list(study.instances.values()))
        study.instances = {sop: one for sop, one in study.instances.items() if one != series}
        self._forget_if_empty(study)
        return [{"op": "delete", "study": study.uid, "series": series, "sop": None}]

    def _delete_study(self) -> list[Operation]:
        study = self._some()
        self._studies.remove(study)
        return [{"op": "delete", "study": study.uid, "series": None, "sop": None}]

    def _store_again(self) -> list[Operation]:
        """Deleted and stored with the same UIDs: all instances of a study, or one."""
        study = self._some()
        if self._random.random() < 0.5:
            gone: Operation = {"op": "delete", "study": study.uid, "series": None, "sop": None}
            return [gone, *(self._create(study, sop) for sop in list(study.instances))]
        sop = self._random.choice(list(study.instances))
        return [
            {"op": "delete", "study": study.uid, "series": study.instances[sop], "sop": sop},
            self._create(study, sop),
        ]

    def _lose_metadata(self) -> list[Operation]:
        """The server stores an instance whose metadata the change feed cannot give; WADO-RS can, or not either."""
        created = self._create(self._some())
        poison = {"op": "poison", "sop": created["sop"], "also_wado": self._random.random() < 0.5}
        return [poison, created]

    def _gap(self) -> list[Operation]:
        return [{"op": "gap", "count": self._random.randint(1, 150)}]

    def _some(self) -> _Study:
        return self._random.choice(self._studies)

    def _forget_if_empty(self, study: _Study) -> None:
        if not study.instances:
            self._studies.remove(study)


def _value(vr: str, value: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
