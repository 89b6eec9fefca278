"""JSON of absurd depth, cut to a depth that parsers take."""

import re

__all__ = ["shallow"]

MAX_DEPTH = 300
"""Three levels of JSON are one of DICOM's sequences."""
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[\]{}]', re.DOTALL)


def shallow(text: str) -> str:
    """The text with null in the place of every array and object below MAX_DEPTH; what is no JSON stays none."""
    kept: list[str] = []
    level = begin = 0
    for found in _TOKEN.finditer(text):
        token = found[0]
        if token in ("[", "{"):
            level += 1
            if level == MAX_DEPTH + 1:
                kept.append(text[begin : found.start()])
        elif token in ("]", "}"):
            if level == MAX_DEPTH + 1:
                kept.append("null")
                begin = found.end()
            level -= 1
    return "".join([*kept, text[begin:]]) if level <= MAX_DEPTH else text
