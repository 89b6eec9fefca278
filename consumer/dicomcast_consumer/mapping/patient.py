"""Patient: what DICOM says of the patient, merged into what the FHIR server has (R4 Patient)."""

import unicodedata
from collections.abc import Sequence
from itertools import zip_longest

import msgspec

from ..errors import RejectedError
from ..mapping_options import MappingOptions
from .as_of import is_vaguer_code, is_vaguer_date, offer
from .dates import is_refinement
from .fragments import PersonName
from .human_names import family_names, has_name, is_named, merge_names
from .identity import Resource, is_ours, our_tag
from .marks import Marks, differs
from .order import ordered
from .shared_lists import by_number, merge_list
from .validation import validate_new
from .values import Mark, PatientValues

__all__ = ["PatientMerge", "merge_patient"]


class PatientMerge(msgspec.Struct, frozen=True, kw_only=True):
    """The Patient as it is to be. `changed` is True for a new one; `report` names what a person should look at."""

    resource: Resource
    changed: bool
    report: tuple[str, ...] = ()


def merge_patient(
    existing: Resource | None, values: Sequence[tuple[Mark, PatientValues]], *, options: MappingOptions
) -> PatientMerge:
    """Merge the values of one patient, oldest first, into the Patient that was found, or make one.

    Raises RejectedError `map.patient_mismatch` where options ask for it, and `map.invalid_resource`.
    """
    told = _without_repeats(values)
    if existing is None:
        return _create(told, options)
    if all(_says(existing, said) for _, said in told):
        return PatientMerge(resource=existing, changed=False)
    merge = _Merge(dict(existing), options)  # what is in it is replaced, never altered
    merge.add_all(told)
    if not differs(merge.resource, existing):
        return PatientMerge(resource=existing, changed=False, report=tuple(merge.report))
    merge.marks.write(merge.resource)
    return PatientMerge(resource=ordered(merge.resource), changed=True, report=tuple(merge.report))


def _without_repeats(values: Sequence[tuple[Mark, PatientValues]]) -> list[tuple[Mark, PatientValues]]:
    """Of equal ones in a row the last alone has the same effect."""
    following = [said for _, said in values[1:]]
    return [pair for pair, after in zip_longest(values, following) if pair[1] != after]


def _says(patient: Resource, said: PatientValues) -> bool:
    """Whether the Patient has all of this as it is: it stays, for marks alone are no reason to write."""
    return (
        said.gender in (None, patient.get("gender"))
        and said.birth_date in (None, patient.get("birthDate"))
        and not said.other_identifiers
        and (said.name is None or is_named(patient, said.name))
    )


def _create(values: Sequence[tuple[Mark, PatientValues]], options: MappingOptions) -> PatientMerge:
    identifier = values[0][1].identifier
    resource: Resource = {
        "resourceType": "Patient",
        "meta": {"tag": [our_tag()]},
        "identifier": [identifier.json()],
    }
    merge = _Merge(resource, options, is_new=True)
    merge.add_all(values)
    validate_new(resource)
    merge.marks.write(resource)
    return PatientMerge(resource=ordered(resource), changed=True, report=tuple(merge.report))


class _Merge:
    """One Patient on its way."""

    def __init__(self, resource: Resource, options: MappingOptions, *, is_new: bool = False) -> None:
        self.resource = resource
        self.report: list[str] = []
        self.marks = Marks(resource)
        update = options.patient.update
        self._rejects_mismatch = options.patient.mismatch == "reject"
        self._untouchable = update == "create-only" and not is_new
        self._overwrites = is_new or update == "dicom-wins" or (update == "owned" and is_ours(resource))

    def add_all(self, values: Sequence[tuple[Mark, PatientValues]]) -> None:
        """Merge what events say, oldest first."""
        for mark, value in values:
            self._add(mark, value)

    def _add(self, mark: Mark, values: PatientValues) -> None:
        if self._untouchable:
            return
        if self._is_mismatch(mark, values):
            if self._rejects_mismatch:
                detail = "birth date and family name of the Patient found both differ from those of the data set"
                raise RejectedError("map", "map.patient_mismatch", detail)
            self._say("patient_mismatch")
            return
        self._add_name(mark, values.name)
        self._add_single("gender", mark, values.gender)
        self._add_single("birthDate", mark, values.birth_date)
        if values.other_identifiers:
            entries = [identifier.json() for identifier in values.other_identifiers]
            self._add_identifiers(mark, entries)

    def _add_identifiers(self, mark: Mark, entries: list[Resource]) -> None:
        is_whole = merge_list(
            self.resource, "identifier", entries, identify=by_number, replaces=False, mark=mark, marks=self.marks
        )
        if not is_whole:
            self._say("too_many_items")

    def _say(self, slug: str) -> None:
        if slug not in self.report:
            self.report.append(slug)

    def _is_mismatch(self, mark: Mark, values: PatientValues) -> bool:
        """The safety net against two people with one number. A feed may correct what it wrote itself."""
        if not values.name or not values.birth_date or not self.resource.get("birthDate"):
            return False
        if is_ours(self.resource) and self._stems_from(mark.feed):
            return False
        known_date, date = self.resource["birthDate"], values.birth_date
        same_date = known_date == date or is_refinement(known_date, date) or is_refinement(date, known_date)
        known_names = {_folded(name) for name in family_names(self.resource)}
        ours = {_folded(group.family) for group in values.name.groups.values() if group.family}
        return not same_date and bool(known_names) and bool(ours) and not known_names & ours

    def _stems_from(self, feed: str) -> bool:
        """Whether what the Patient is compared by was written from this feed."""
        birth_date = self.marks.get("birthDate")
        names = [self.marks.get(f"name/{code}") for code in ("ABC", "IDE", "SYL")]
        return birth_date is not None and all(mark.feed == feed for mark in (birth_date, *names) if mark is not None)

    def _add_name(self, mark: Mark, name: PersonName | None) -> None:
        if name is None or (not self._overwrites and has_name(self.resource)):
            return
        merge_names(self.resource, name, mark, self.marks)

    def _add_single(self, element: str, mark: Mark, value: str | None) -> None:
        if self._overwrites or not self.resource.get(element):
            offer(self.resource, element, value, name=element, mark=mark, marks=self.marks, is_vaguer=_is_vaguer)


def _is_vaguer(value: str, than: str) -> bool:
    return is_vaguer_date(value, than) or is_vaguer_code(value, than)


def _folded(name: str) -> str:
    """A name without case, accents and punctuation, to compare by."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(character for character in decomposed if character.isalnum())
