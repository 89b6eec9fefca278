"""Whether rejections are the events' fault. Pure.

A wrong setting, a server upgrade or a defect of ours makes FHIR refuse every study. Such a deployment must not flush
the topic into dead letters: when most of the studies that were decided last were refused, the fault is not theirs, and
rejections stop counting until one study goes through. A study that was refused meanwhile is held: it is to blame once
enough others went through after it.
"""

from collections import OrderedDict
from typing import NamedTuple

__all__ = ["RejectionGuard", "Verdicts"]


class Verdicts(NamedTuple):
    """How many studies were accepted and refused so far; the same verdict on one again counts once."""

    accepted: int
    refused: int


class RejectionGuard:
    """Remembers the last verdict of the studies that were decided last."""

    def __init__(self, *, studies: int = 20, least: int = 5) -> None:
        """Looks at the last `studies` distinct studies; fewer than `least` refused ones are never suspicious."""
        self._studies = studies
        self._least = least
        self._refused: OrderedDict[bytes, bool] = OrderedDict()
        self.verdicts = Verdicts(0, 0)

    def refused(self, lane: bytes) -> None:
        """The study was refused by FHIR, or by a defect of ours."""
        self._note(lane, refused=True)

    def accepted(self, lane: bytes) -> None:
        """The study went through. While suspicious, that is the end of it: what was refused before says no more."""
        if self.suspicious:
            self._refused.clear()
        self._note(lane, refused=False)

    @property
    def suspicious(self) -> bool:
        """Whether most of the recent studies were refused."""
        refused = sum(self._refused.values())
        return refused >= self._least and refused * 2 > len(self._refused)

    def blames(self, since: Verdicts) -> bool:
        """Whether a study that was held at that time, and is refused again, is to blame: others went through since, and
        so many that the ones refused with it would not have been suspicious."""
        accepted, refused = (now - then for now, then in zip(self.verdicts, since, strict=True))
        return accepted * self._least > refused

    def _note(self, lane: bytes, *, refused: bool) -> None:
        if self._refused.get(lane) is not refused:
            accepted_before, refused_before = self.verdicts
            self.verdicts = Verdicts(accepted_before + (not refused), refused_before + refused)
        self._refused[lane] = refused
        self._refused.move_to_end(lane)
        while len(self._refused) > self._studies:
            self._refused.popitem(last=False)
