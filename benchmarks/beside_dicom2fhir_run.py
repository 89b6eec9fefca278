"""Runs in dicom2fhir's own environment: data sets, one a line, on standard input; CPU seconds per instance printed."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from typing import Any

from dicom2fhir.dicom2fhir import from_generator  # type: ignore[import-not-found]


async def _data_sets(lines: list[str]) -> AsyncGenerator[dict[str, Any], None]:
    for line in lines:
        yield json.loads(line)


def main() -> None:
    """One study, turned into a Bundle."""
    lines = sys.stdin.read().splitlines()
    begun = time.process_time()
    asyncio.run(from_generator(_data_sets(lines), {"dicom_timezone": "UTC"})).model_dump_json()
    print((time.process_time() - begun) / len(lines))


if __name__ == "__main__":
    main()
