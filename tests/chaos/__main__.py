"""`python -m tests.chaos --seconds 900 --seed 1`: a long chaos run. Ends with 1 when a guarantee was broken."""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from tests.chaos.run import Plan, chaos


def main() -> int:
    """Runs it and prints what there was; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0, help="how long there is trouble")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="of story and trouble")
    parser.add_argument("--protocol", choices=("classic", "consumer"), default="classic", help="group.protocol")
    parser.add_argument("--hapi", action="store_true", help="the real HAPI in place of the sandbox's FHIR server")
    parser.add_argument("--keep", action="store_true", help="keep the logs of a sound run too")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dicomcast-chaos-"))
    plan = Plan(seed=asked.seed, seconds=asked.seconds, folder=folder, protocol=asked.protocol, hapi=asked.hapi)
    print(f"{again(plan)}; logs in {folder}", flush=True)
    begun_s = time.monotonic()
    try:
        outcome = chaos(plan)
    except BaseException:
        print(f"did not come to its end; again with: {again(plan)}; logs in {folder}", flush=True)
        raise
    outcome.figures["seconds_in_all"] = round(time.monotonic() - begun_s)
    print(report(outcome.figures))
    if outcome.violations:
        print(f"BROKEN, {len(outcome.violations)} times; again with: {again(plan)}; logs in {folder}")
        print("\n".join(outcome.violations[:50]))
        return 1
    print("0 lost, 0 doubled, 0 out of order")
    if not asked.keep:
        shutil.rmtree(folder)
    return 0


def again(plan: Plan) -> str:
    """The command that repeats a run, as far as its seed decides: when what happens is the machine's affair."""
    hapi = " --hapi" if plan.hapi else ""
    return f"python -m tests.chaos --seconds {plan.seconds:g} --seed {plan.seed} --protocol {plan.protocol}{hapi}"


def report(figures: Mapping[str, int]) -> str:
    """The figures, one a line."""
    return "\n".join(f"{name.replace('_', ' '):40}{count:>8}" for name, count in sorted(figures.items()))


if __name__ == "__main__":
    sys.exit(main())
