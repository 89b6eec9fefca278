"""The list of dead letters: what was asked for, what is shown, and the command that replays it. Pure."""

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from dicomcast_runtime.errors import ConfigurationError

from ..dlq import Filters
from ..dlq_done import KeptLetter
from ..dlq_options import filters

__all__ = ["Asked", "Page", "by_code", "page", "replay_command", "verdict_level"]

PAGE: Final = 50
_FIELDS: Final = ("code", "study", "since", "until")
_STATES: Final = ("pending", "done", "all")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The form as it was sent: texts, empty where nothing was said."""

    code: str = ""
    study: str = ""
    since: str = ""
    until: str = ""
    state: str = "pending"
    number: int = 1
    """Of the page, from 1."""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> "Asked":
        """What a URL asks for; what it says of state and page without sense is as if it said nothing."""
        said = {name: query.get(name, "").strip() for name in _FIELDS}
        state, number = query.get("state", ""), query.get("page", "")
        return cls(
            **said,
            state=state if state in _STATES else "pending",
            number=max(1, int(number)) if number.isascii() and number.isdecimal() and len(number) < 8 else 1,
        )

    @property
    def filtered(self) -> bool:
        """Whether any filter is set."""
        return any(getattr(self, name) for name in _FIELDS)

    def filters(self) -> Filters:
        """Raises ConfigurationError, naming what is wrong."""
        return filters(
            code=self.code or None, study=self.study or None, since=self.since or None, until=self.until or None
        )

    def query(self, number: int) -> str:
        """The URL's query for another page of the same."""
        said = {name: value for name in _FIELDS if (value := getattr(self, name))}
        return urlencode({**said, "state": self.state, "page": number})


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What is shown of the letters."""

    rows: tuple[KeptLetter, ...]
    found: int
    """Letters that match, on all pages."""
    pending: int
    """Pending ones that match the filters, whatever state is shown."""
    number: int
    pages: int
    fault: str | None
    """What is wrong with the filters; nothing is shown then."""


def page(asked: Asked, kept: Sequence[KeptLetter]) -> Page:
    """The newest first."""
    try:
        wanted = asked.filters()
    except ConfigurationError as error:
        return Page(rows=(), found=0, pending=0, number=1, pages=1, fault=str(error).removeprefix("--"))
    matching = [each for each in kept if wanted.match(each.letter)]
    shown = [each for each in matching if asked.state == "all" or each.pending is (asked.state == "pending")]
    shown.sort(key=_age, reverse=True)
    pages = max(1, -(-len(shown) // PAGE))
    number = min(asked.number, pages)
    return Page(
        rows=tuple(shown[(number - 1) * PAGE : number * PAGE]),
        found=len(shown),
        pending=sum(each.pending for each in matching),
        number=number,
        pages=pages,
        fault=None,
    )


def by_code(letters: Iterable[KeptLetter]) -> list[tuple[str, int]]:
    """How many letters have each code, most first."""
    found = Counter(each.letter.code or "(no code)" for each in letters)
    return sorted(found.items(), key=lambda item: (-item[1], item[0]))


def replay_command(asked: Asked) -> str:
    """The command that replays all pending letters that match: safe to paste into a shell."""
    chosen = [word for name in _FIELDS if (value := getattr(asked, name)) for word in (f"--{name}", value)]
    return shlex.join(["dicomcast-consumer", "dlq", "replay", *(chosen or ["--all"])])


def verdict_level(verdict: str) -> str:
    """ok, warn or bad: what dlq_verdict's sentence means for a replay."""
    if verdict.startswith("mapped"):
        return "ok"
    return "bad" if verdict.startswith(("rejected", "cannot")) else "warn"


def _age(kept: KeptLetter) -> tuple[float, int, int]:
    at = kept.letter.failed_at
    return (at.timestamp() if at else 0.0, kept.letter.partition, kept.letter.offset)
