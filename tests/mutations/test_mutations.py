"""Every known bug that needs no Kafka, put back in a copy, turns a test red. `make mutations` does them all."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.mutations.mutation import Mutation
from tests.mutations.runner import Tree
from tests.mutations.table import MUTATIONS

pytestmark = pytest.mark.slow

QUICK = [one for one in MUTATIONS if not one.needs_kafka]


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    with Tree.copied() as copy:
        yield copy


def test_the_tests_pass_without_a_bug(tree: Tree) -> None:
    assert tree.fails_without_a_bug(QUICK) == ""
    assert tree.fails_without_a_bug([replace(QUICK[0], tests=["tests/no_such_test.py"])]) != ""


@pytest.mark.parametrize("mutation", QUICK, ids=[one.name for one in QUICK])
def test_a_test_fails_with_it(tree: Tree, mutation: Mutation) -> None:
    assert tree.unseen(mutation) == ""


def test_a_bug_that_is_none_is_unseen(tree: Tree) -> None:
    assert "ended with 0" in tree.unseen(replace(QUICK[0], new=QUICK[0].old))
