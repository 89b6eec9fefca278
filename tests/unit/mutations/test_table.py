"""The table of known bugs is up to date (tests/mutations/test_mutations.py puts them back)."""

from dataclasses import replace

import pytest

from tests.mutations.runner import ROOT, stale
from tests.mutations.table import MUTATIONS


def test_every_text_stands_in_the_product_once() -> None:
    """Red: the product has changed; say in tests/mutations/table.py where that bug would be made now."""
    assert stale(MUTATIONS) == []
    assert stale([replace(MUTATIONS[0], old="no such text")]) == [MUTATIONS[0].name]


@pytest.mark.parametrize("test", sorted({test for one in MUTATIONS for test in one.tests}))
def test_every_test_is_there(test: str) -> None:
    file, _, name = test.partition("[")[0].partition("::")
    assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8")
