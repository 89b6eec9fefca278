"""The benchmarks run and give well-formed results; how fast anything is, is no test's business."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks.__main__ import PARTS
from benchmarks.result import Row, load, save
from benchmarks.rounds import best, middle, ratio, rounds_of
from benchmarks.table import picture, table

ROOT = Path(__file__).parents[2]


def row(ratio: float, reach: str = ">= 0.7") -> Row:
    return Row(name="a & b", ratio=ratio, unit="of the limit", reach=reach, measured={"ours": {"requests": 3}})


@pytest.mark.parametrize(
    ("reach", "ratio", "reached"),
    [(">= 0.7", 0.7, True), (">= 0.7", 0.69, False), ("<= 2.5", 2.5, True), ("<= 2.5", 2.51, False), ("", 9, None)],
)
def test_what_is_reached(reach: str, ratio: float, reached: bool | None) -> None:
    assert row(ratio, reach).is_reached is reached


def test_the_median_of_the_rounds_counts_and_who_begins_alternates() -> None:
    turns: list[str] = []
    rates = {"ours": iter((4, 9, 5)), "limit": iter((8, 10, 5))}

    def measured(name: str) -> dict[str, float]:
        turns.append(name)
        return {"instances_per_s": next(rates[name])}

    rounds = rounds_of(3, lambda: measured("ours"), lambda: measured("limit"))
    assert turns == ["ours", "limit", "limit", "ours", "ours", "limit"]
    assert ratio(rounds) == 0.9
    assert middle([one for one, _ in rounds]) == {"instances_per_s": 5}
    assert best((3, 7, 5), lambda size: {"instances_per_s": size % 7}) == 5


def test_a_part_is_kept_and_read_again_and_parts_that_are_missing_are_left_out(tmp_path: Path) -> None:
    rows = [row(0.8), row(0.1), row(3, "")]
    save("mapping", rows, folder=tmp_path, quick=False)
    found = load("mapping", tmp_path)
    assert found is not None
    content, again = found
    assert again == rows
    assert content["machine"]["cores"] >= 1
    assert load("bridge", tmp_path) is None
    text = table(PARTS, tmp_path)
    assert text.count("| mapping: a & b |") == 3
    assert [line.rsplit("|", 2)[1].strip() for line in text.splitlines()[2:]] == ["yes", "no", ""]
    drawing = ElementTree.fromstring(picture(PARTS, tmp_path))
    assert len([shape for shape in drawing if shape.tag.endswith("rect")]) == 1 + 2


def test_the_mapping_part_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "mapping", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("| mapping: ") == 3


def test_the_results_that_are_kept_are_well_formed() -> None:
    for part in PARTS:
        found = load(part, ROOT / "benchmarks" / "results")
        if found is not None:
            content, rows = found
            assert (content["part"], content["quick"]) == (part, False)
            assert rows
            assert all(row.ratio >= 0 and row.unit for row in rows)
            assert json.dumps(content)
