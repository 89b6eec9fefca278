"""The shell commands of the documents: fenced blocks of sh, bash and console, and their commands as words.

Not a shell: what the documents use of one. `$(…)` is a command of its own and a word SUBSTITUTED in its place;
redirections are left out; quotes, comments, line continuations, pipes, `&&`, `;` and `&` are understood. console blocks
hold prompts (`$ `) and output.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCUMENTS", "ROOT", "SUBSTITUTED", "Block", "Command", "blocks", "commands", "inline_commands"]

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SUBSTITUTED = "SUBSTITUTED"
"""The word that stands for what a `$(…)` would print."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>sh|bash|console|text)\n(?P<text>.*?)^(?P=indent)```$", re.S | re.M)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_OF_OURS = re.compile(r"(?:(?:dicomcast-(?:producer|consumer|sandbox)|make) |DICOMCAST_\w+=)[^…|<]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_ENDS = {"|", "||", "&&", ";", "&", "|&"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    document: Path
    line: int
    language: str
    text: str
    """Without the indentation of the fence."""

    @property
    def name(self) -> str:
        """As `docs/replay.md:19`."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One simple command: `A=1 program argument …`."""

    assignments: tuple[tuple[str, str], ...]
    words: tuple[str, ...]


def blocks(document: Path) -> Iterator[Block]:
    """The blocks of sh, bash, console and text, in their order."""
    text = document.read_text(encoding="utf-8")
    for fence in _FENCE.finditer(text):
        lines = [line.removeprefix(fence["indent"]) for line in fence["text"].splitlines()]
        yield Block(
            document=document,
            line=text.count("\n", 0, fence.start()) + 1,
            language=fence["language"],
            text="\n".join(lines) + "\n",
        )


def commands(block: Block) -> Iterator[Command]:
    """The commands of a block. Raises ValueError for a quote or a `$(` that does not end."""
    text = block.text
    if block.language == "console":
        text = "\n".join(line[2:] for line in text.splitlines() if line.startswith("$ "))
    for line in text.replace("\\\n", " ").splitlines():
        yield from _commands(line)


def inline_commands(document: Path) -> Iterator[tuple[str, Command]]:
    """Commands of ours that stand in the prose or in a table: those without a `…`, a `<NAME>` or a choice (`a|b`)."""
    text = _FENCE.sub("", document.read_text(encoding="utf-8"))
    for span in _SPAN.finditer(text):
        if _OF_OURS.fullmatch(span[1]):
            yield from ((span[1], command) for command in _commands(span[1]))


def _commands(line: str) -> Iterator[Command]:
    bare, inner = _without_substitutions(line)
    for text in inner:
        yield from _commands(text)
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words: list[str] = []
    skip = False
    for token in lexer:
        if skip:
            skip = False
        elif token in _ENDS:
            yield from _command(words)
            words = []
        elif set(token) <= set("<>&") and token:
            if words and words[-1] in ("1", "2"):
                words.pop()
            skip = True
        else:
            words.append(token)
    yield from _command(words)


def _command(words: list[str]) -> Iterator[Command]:
    count = next((n for n, word in enumerate(words) if not _ASSIGNMENT.match(word)), len(words))
    assignments = tuple((name, value) for name, _, value in (word.partition("=") for word in words[:count]))
    if words:
        yield Command(assignments=assignments, words=tuple(words[count:]))


def _without_substitutions(line: str) -> tuple[str, list[str]]:
    """The line with SUBSTITUTED for each outermost `$(…)`, and what stood in these."""
    inner: list[str] = []
    while (start := line.find("$(")) >= 0:
        end = _end_of_substitution(line, start + 2)
        inner.append(line[start + 2 : end])
        line = line[:start] + SUBSTITUTED + line[end + 1 :]
    return line, inner


def _end_of_substitution(line: str, start: int) -> int:
    depth, quote = 1, ""
    for place in range(start, len(line)):
        letter = line[place]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            if depth == 0:
                return place
    raise ValueError(f"a $( that does not end: {line}")
