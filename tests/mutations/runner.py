"""Puts a bug into a copy of the tree and runs the tests that must find it. The product itself is never touched."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutations.mutation import Mutation

__all__ = ["Tree", "stale"]

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "runtime", "producer", "consumer", "sandbox")
_GREEN, _RED = 0, 1  # pytest's exit codes; any other means that it could not run the test


@dataclass(frozen=True, slots=True)
class Tree:
    """A copy of the project."""

    root: Path

    @staticmethod
    @contextmanager
    def copied() -> Iterator["Tree"]:
        """For the block."""
        with TemporaryDirectory(prefix="dicomcast-mutations-") as folder:
            root = Path(folder)
            for name in (*PACKAGES, "tests"):
                shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "data"))
            shutil.copy(ROOT / "pyproject.toml", root)
            (root / "tests/data").symlink_to(ROOT / "tests/data")
            yield Tree(root)

    def fails_without_a_bug(self, mutations: Iterable[Mutation]) -> str:
        """What the tests of all of them say when they do not pass as it is; empty when they do."""
        code, text = self._run(dict.fromkeys(test for one in mutations for test in one.tests))
        return "" if code == _GREEN else text[-3000:]

    def unseen(self, mutation: Mutation) -> str:
        """What a test says that does not fail with the bug; empty when each of its tests does."""
        with self._bug(mutation):
            for test in mutation.tests:
                code, text = self._run([test])
                if code != _RED:
                    return f"{test} ended with {code}:\n{text[-1500:]}"
        return ""

    @contextmanager
    def _bug(self, mutation: Mutation) -> Iterator[None]:
        file = self.root / mutation.file
        text = file.read_text(encoding="utf-8")
        file.write_text(text.replace(mutation.old, mutation.new), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(text, encoding="utf-8")

    def _run(self, tests: Iterable[str]) -> tuple[int, str]:
        """pytest's exit code and what it wrote. The copy's packages come before the installed ones."""
        paths = os.pathsep.join(str(self.root / package) for package in PACKAGES)
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout=150", *tests],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", "CI": "true"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return result.returncode, result.stdout + result.stderr


def stale(mutations: Iterable[Mutation]) -> list[str]:
    """Names of the mutations whose text does not stand in the product exactly once."""
    return [one.name for one in mutations if (ROOT / one.file).read_text(encoding="utf-8").count(one.old) != 1]
