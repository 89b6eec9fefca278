"""The table of known bugs is up to date, and the runner can tell a bug that is seen from one that is not."""

from dataclasses import replace

import pytest

from tests.mutations.runner import ROOT, Tree, stale
from tests.mutations.table import MUTATIONS, Mutation

FLOOR = Mutation(
    name="nothing is ever committed",
    file="consumer/dicomcast_consumer/offsets.py",
    old="            self._floor = candidate\n",
    new="            pass\n",
    tests=["tests/unit/consumer/test_offsets.py::test_the_lowest_unfinished_offset_holds_the_commit_back"],
)


def test_every_text_stands_in_the_product_once() -> None:
    """Red: the product has changed; say in tests/mutations/table.py where that bug would be made now."""
    assert stale(MUTATIONS) == []
    assert stale([replace(FLOOR, old="no such text")]) == [FLOOR.name]


@pytest.mark.parametrize("test", sorted({test for one in MUTATIONS for test in one.tests}))
def test_every_test_is_there(test: str) -> None:
    file, _, name = test.partition("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")


def test_a_bug_that_is_seen_one_that_is_not_and_a_test_that_is_red_without_it() -> None:
    with Tree.copied() as tree:
        assert tree.verdict(FLOOR).caught
        assert "ended with 0" in tree.verdict(replace(FLOOR, new=FLOOR.old)).why
        assert "do not pass without it" in tree.verdict(replace(FLOOR, tests=["tests/no_such_test.py"])).why
        assert (tree.root / FLOOR.file).read_text() == (ROOT / FLOOR.file).read_text()
