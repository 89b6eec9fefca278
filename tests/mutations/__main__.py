"""`python -m tests.mutations [--quick]`: every known bug, put back, must turn a test red."""

import argparse
import sys
import time

from tests.mutations.runner import Tree, stale
from tests.mutations.table import MUTATIONS


def main() -> int:
    """The exit code: 1 when a bug goes unseen."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only those that need no Kafka")
    parser.add_argument("--only", default="", help="those whose name holds this text")
    asked = parser.parse_args()
    chosen = [one for one in MUTATIONS if asked.only in one.name and not (asked.quick and one.needs_kafka)]
    if names := stale(chosen):
        print("the table is stale:", *names, sep="\n  ")
        return 1
    begun_s, unseen = time.monotonic(), 0
    with Tree.copied() as tree:
        if text := tree.fails_without_a_bug(chosen):
            print(f"the tests do not pass without a bug:\n{text}")
            return 1
        for one in chosen:
            text = tree.unseen(one)
            unseen += bool(text)
            print(f"UNSEEN  {one.name}: {text}" if text else f"caught  {one.name}", flush=True)
    print(f"{len(chosen) - unseen} of {len(chosen)} bugs caught in {time.monotonic() - begun_s:.0f} s")
    return 1 if unseen or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
