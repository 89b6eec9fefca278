"""The colours of the stylesheet have contrast enough, in light and dark (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest
from dicomcast_consumer import web

FILES = Path(str(web.__file__)).parent
STYLE = (FILES / "static" / "style.css").read_text(encoding="utf-8")
LIGHT, DARK = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in re.split("@media", STYLE)[:2])
GROUNDS = ("page", "card", "raised")
TEXT = [(text, ground) for text in ("text", "quiet", "accent") for ground in GROUNDS]
STATES = [(state, ground) for state in ("ok", "warn", "bad", "info") for ground in (*GROUNDS, f"{state}-card")]
IN_NOTICES = [("text", f"{state}-card") for state in ("ok", "warn", "bad", "info")]
GRAPHICS = [(line, ground) for line in ("lag", "applied", "arrived", "field", "accent") for ground in ("page", "card")]


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_computation_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), [*TEXT, *STATES, *IN_NOTICES, ("on-accent", "accent")])
def test_text_can_be_read(scheme: dict[str, str], text: str, ground: str) -> None:
    assert contrast(scheme[text], scheme[ground]) >= 4.5


@pytest.mark.parametrize("scheme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("line", "ground"), GRAPHICS)
def test_lines_and_borders_of_fields_can_be_seen(scheme: dict[str, str], line: str, ground: str) -> None:
    assert contrast(scheme[line], scheme[ground]) >= 3


def test_dark_has_every_colour_of_light() -> None:
    assert set(LIGHT) == set(DARK)


def test_nothing_is_loaded_from_elsewhere() -> None:
    """No CDN, no inline style or script: the Content-Security-Policy would refuse them."""
    for path in [*FILES.glob("templates/*.html"), *FILES.glob("static/*")]:
        text = path.read_text(encoding="utf-8").replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert "://" not in text.replace('.split("://")', ""), path.name
        assert not re.search(r"<style|<script(?! src=\"/static/)| style=| on[a-z]+=|\|\s*safe", text), path.name
