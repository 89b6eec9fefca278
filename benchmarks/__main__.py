"""python -m benchmarks [PART …] [--quick]: measures the parts (default: all), keeps a file of each, prints the table.

    end_to_end   backlog on Kafka to HAPI FHIR, beside the original's algorithm and ready-made bundles
    bridge       change feed to topic, beside a bare transactional producer
    mapping      one core, beside orjson and dicom2fhir
    scaling      requests in flight, members, a hot study, a long backlog, over a FHIR server that answers in 20 ms
    latency      change feed to FHIR, idle and at half load

`table` measures nothing and makes the table of what is there. --quick: tiny sizes, to see that everything runs.
"""

import argparse
import importlib
import sys
import tempfile
from pathlib import Path
from typing import Final

from .result import RESULTS, Row, save
from .table import picture, table

PARTS: Final = ("end_to_end", "bridge", "mapping", "scaling", "latency")


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="benchmarks", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, "table", []], metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--quick", action="store_true", help="tiny sizes; the results are not kept")
    arguments = parser.parse_args()
    parts = tuple(arguments.parts) or PARTS
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) if arguments.quick else RESULTS
        failed = [part for part in parts if part != "table" and not _measure(part, folder, quick=arguments.quick)]
        text = table(PARTS, folder)
        if not arguments.quick:
            (folder / "table.md").write_text(text + "\n", encoding="utf-8")
            (folder / "table.svg").write_text(picture(PARTS, folder), encoding="utf-8")
    print(text)
    return 1 if failed else 0


def _measure(part: str, folder: Path, *, quick: bool) -> bool:
    print(f"--- {part}", file=sys.stderr, flush=True)
    try:
        rows: list[Row] = importlib.import_module(f"benchmarks.{part}").measure(quick=quick)
    except Exception as error:  # the other parts are worth having
        print(f"{part} failed: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    save(part, rows, folder=folder, quick=quick)
    return True


if __name__ == "__main__":
    sys.exit(main())
