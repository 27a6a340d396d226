import re
from pathlib import Path

import pytest

from benchmarks.comparison import BIGRAD, Case, Rounds, Target, check
from benchmarks.report import render
from benchmarks.table import TABLE

TEMPLATE = Path(__file__).parents[1] / "benchmarks" / "README.template.md"
ROUNDS: Rounds = {BIGRAD: {"s": [1.0, 2.0, 10.0]}, "peer": {"s": [4.0, 4.0, 30.0]}}


def test_the_report_has_a_place_for_each_group_of_the_table() -> None:
    places = set(re.findall(r"<!-- (.+?) -->", TEMPLATE.read_text()))
    assert places == {"facts", *(row.group for row in TABLE)}


@pytest.mark.parametrize(
    ("target", "reached", "met"),
    [
        (Target("faster", 3.0, "peer"), 3.0, True),
        (Target("faster", 3.1, "peer"), 3.0, False),
        (Target("times", 0.3, "peer"), 1 / 3, False),
        (Target("over", 0.0, "peer"), -3.0, True),
        (Target("most", 2.0), 2.0, True),
    ],
)
def test_targets_are_held_against_the_median_of_the_pairs(
    target: Target, reached: float, met: bool
) -> None:
    assert target.reached(ROUNDS) == pytest.approx(reached)
    assert target.met(target.reached(ROUNDS)) is met


def test_a_result_with_other_bits_is_found() -> None:
    case = Case({}, exact=("peer",))
    check(case, {BIGRAD: [0.0, 1.0], "peer": [0.0, 1.0]})
    with pytest.raises(AssertionError, match="peer: other bits"):
        check(case, {BIGRAD: [0.0, 1.0], "peer": [-0.0, 1.0]})


def test_the_report_shows_medians_what_is_missed_and_what_is_absent() -> None:
    row = {
        "group": "filled",
        "name": "work",
        "rounds": ROUNDS,
        "limit": "",
        "absent": {"other": "not installed"},
        "nbytes": 0,
        "targets": [{"text": "at most 1 s", "reached": 2.0, "met": False}],
    }
    run = {
        "benchmarks": [{"extra_info": row}],
        "machine_info": {"facts": {"Memory": "1 GiB"}},
        "datetime": "2026-01-01T00:00",
    }
    text = render("<!-- facts -->\n<!-- filled -->", run)
    assert "- Memory: 1 GiB" in text
    assert "| work | 2 s | 3.00 | at most 1 s: 2 **(missed)** |" in text
    assert "- work: other not installed." in text
    with pytest.raises(ValueError, match="kinds"):
        render("<!-- facts --> <!-- filled --> <!-- kinds -->", run)
