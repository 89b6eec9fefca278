"""HAPI's FHIR validator as the judge of what the mapping makes: one Java process for a whole session, offline."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from dicomcast_consumer.exact_json import dumps

from tests.services.server import NOT_INSTALLED, SCRIPTS, NotInstalledError

__all__ = ["Issue", "Validator"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What the validator has to say of a resource."""

    severity: str
    """fatal, error, warning or information."""
    location: str
    kind: str
    """The validator's own name of the rule."""
    text: str

    @property
    def is_error(self) -> bool:
        """Whether the resource is no R4 because of it."""
        return self.severity in ("error", "fatal")

    def __str__(self) -> str:
        return f"{self.severity} at {self.location}: {self.text}"


class Validator:
    """The process; equal resources are judged once."""

    def __init__(self, process: "subprocess.Popen[str]", log: IO[str]) -> None:
        self._process = process
        self._log = log
        self._known: dict[str, tuple[Issue, ...]] = {}

    @staticmethod
    @contextmanager
    def started() -> Iterator["Validator"]:
        """Raises NotInstalledError. It ends with the block, and when this process has ended, however that happened."""
        command = ["bash", str(SCRIPTS / "start-validator.sh")]
        with tempfile.TemporaryFile("w+") as log:
            pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
            with subprocess.Popen(command, text=True, encoding="utf-8", **pipes) as process:
                validator = Validator(process, log)
                validator.issues({"resourceType": "Basic", "code": {"text": "-"}})
                yield validator

    def issues(self, resource: Mapping[str, Any]) -> tuple[Issue, ...]:
        """Everything the validator finds in a resource, as it stands in JSON."""
        line = dumps(resource).decode()
        if line not in self._known:
            self._known[line] = tuple(Issue(**found) for found in json.loads(self._answer(line)))
        return self._known[line]

    def errors(self, resource: Mapping[str, Any]) -> list[str]:
        """What makes it no R4, as text."""
        return [str(issue) for issue in self.issues(resource) if issue.is_error]

    def _answer(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self._raise()
        return answer

    def _raise(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        code = self._process.wait(30)
        self._log.seek(0)
        text = self._log.read().strip()
        if code == NOT_INSTALLED:
            raise NotInstalledError(text)
        raise RuntimeError(f"the validator ended with {code}: {text[-3000:]}")
