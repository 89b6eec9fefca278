"""Each guarantee of the README names tests, and they exist."""

import re
from pathlib import Path

import pytest

from tests.documents.tests_named import missing, named_tests

ROOT = Path(__file__).parents[2]
ROWS = dict(re.findall(r"^\| (G\d) \|(.*)$", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE))


def test_all_guarantees_are_there() -> None:
    kept = re.findall(r"^\| (G\d) \|", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert list(ROWS) == kept == [f"G{n}" for n in range(1, 7)]


@pytest.mark.parametrize("guarantee", ROWS)
def test_each_names_tests_that_exist(guarantee: str) -> None:
    found = named_tests(ROWS[guarantee])
    assert len(found) >= 2
    assert [text for one in found if (text := missing(one, ROOT))] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[x](tests/unit/test_nowhere.py) `test_x`", "does not exist"),
        ("[x](tests/unit/test_guarantees.py) `test_nothing_of_the_kind`", "no test test_nothing_of_the_kind"),
        ("[x](tests/unit/test_guarantees.py)", "no test named"),
        ("[x](tests/unit/test_guarantees.py) `ROWS`", "no test ROWS"),
    ],
)
def test_what_is_not_there_is_found(text: str, says: str) -> None:
    (found,) = named_tests(text)
    assert says in missing(found, ROOT)
