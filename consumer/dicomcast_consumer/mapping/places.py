"""Which series each instance of a study is in, while changes are applied one by one: `series` without the values."""

from collections.abc import Sequence

from .identity import Resource
from .unlisted import digest, digests
from .values import InstanceChange, Kind

__all__ = ["Places"]


class Places:
    """Read when it is asked something that needs it, for a study may have thousands of instances."""

    def __init__(self, series: Sequence[Resource]) -> None:
        """`series` is ImagingStudy.series as found."""
        self._unread: Sequence[Resource] = series
        self._outstanding: list[InstanceChange] = []
        self._place: dict[str, str] = {}
        """The series by SOP Instance UID, or by its digest."""
        self._counts: dict[str, int] = {}
        """How many instances each series has."""
        self._has_digests = False
        self._is_empty: bool | None = not series
        """None: to be found out."""

    def apply(self, change: InstanceChange) -> None:
        """The instance is stored or removed."""
        self._outstanding.append(change)
        self._is_empty = False if change.kind is Kind.UPSERT else self._is_empty or None

    @property
    def is_empty(self) -> bool:
        """Whether there is no series."""
        if self._is_empty is None:
            self._catch_up()
            self._is_empty = not self._counts
        return self._is_empty

    def lists(self, sop_instance_uid: str) -> bool:
        """Whether the study has the instance."""
        self._catch_up()
        return sop_instance_uid in self._place or (self._has_digests and digest(sop_instance_uid) in self._place)

    def _catch_up(self) -> None:
        for series in self._unread:
            self._read(series)
        self._unread = ()
        for change in self._outstanding:
            self._apply(change)
        self._outstanding.clear()

    def _read(self, series: Resource) -> None:
        uid, unlisted = str(series.get("uid")), digests(series)
        self._has_digests = self._has_digests or bool(unlisted)
        self._counts.setdefault(uid, 0)
        for name in [*(str(one.get("uid")) for one in series.get("instance") or ()), *unlisted]:
            if name not in self._place:
                self._place[name] = uid
                self._counts[uid] += 1

    def _apply(self, change: InstanceChange) -> None:
        name = change.sop_instance_uid
        place = self._place.pop(name, None)
        if place is None and self._has_digests:
            place = self._place.pop(digest(name), None)
        if change.kind is Kind.UPSERT:
            self._place[name] = change.series_instance_uid
            self._counts[change.series_instance_uid] = self._counts.get(change.series_instance_uid, 0) + 1
        if place is not None:
            self._counts[place] -= 1
            if not self._counts[place]:
                del self._counts[place]
