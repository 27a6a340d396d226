"""Print the tables of a run, and write them into the README with ``--write``.

``python -m benchmarks.report RUN.json [--write]``
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import BIGRAD, SECONDS
from benchmarks.figure import draw
from benchmarks.startup import STARTUP

__all__ = ["main"]

_HERE = Path(__file__).parent
_TEMPLATE = _HERE / "README.template.md"
_README = _HERE / "README.md"
_FIGURE = _HERE / "scaling.png"

Row = Mapping[str, Any]


def table(rows: Sequence[Row]) -> str:
    """Set the rows of one group as a Markdown table, with notes on the ways that are absent."""
    ways = _ordered(way for row in rows for way in row["rounds"])
    units = _ordered(unit for row in rows for unit in row["rounds"][BIGRAD])
    columns = [column for unit in units for column in _columns(rows, ways, unit)]
    head = ["work", *(name for name, _ in columns)]
    lines = [
        [row["name"], *cells] for row, *cells in zip(rows, *(c for _, c in columns), strict=True)
    ]
    if any(row["targets"] for row in rows):
        head.append("target: reached")
        lines = [[*line, _aims(row)] for line, row in zip(lines, rows, strict=True)]
    rule = ["---", *("---:" for _ in columns), *["---"] * (len(head) - 1 - len(columns))]
    text = "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))
    notes = [
        f"- {row['name']}: {way} {reason}."
        for row in rows
        for way, reason in row["absent"].items()
    ]
    return "\n".join([text, *([""] if notes else []), *_ordered(notes)])


def _columns(
    rows: Sequence[Row], ways: Sequence[str], unit: str
) -> Iterator[tuple[str, list[str]]]:
    """Columns of one unit: bigrad's figures, then those of the others in proportion to them."""
    limits = {row["limit"] for row in rows}
    in_seconds = unit == SECONDS
    suffix = "" if in_seconds else f", {unit}"
    yield BIGRAD + suffix, [_figure(row, BIGRAD, unit) for row in rows]
    if in_seconds and any(row["nbytes"] for row in rows):
        yield "GB/s", [_rate(row) for row in rows]
    for way in ways:
        if way == BIGRAD or not any(unit in row["rounds"].get(way, {}) for row in rows):
            continue
        if not in_seconds or rows[0]["group"] == STARTUP:
            yield way + suffix, [_figure(row, way, unit) for row in rows]
        elif way in limits:
            yield f"time ÷ {way}", [_proportion(row, BIGRAD, way) for row in rows]
        else:
            yield f"times as fast as {way}", [_proportion(row, way, BIGRAD) for row in rows]


def _proportion(row: Row, above: str, below: str) -> str:
    if above not in row["rounds"] or below not in row["rounds"]:
        return ""
    pairs = zip(row["rounds"][above][SECONDS], row["rounds"][below][SECONDS], strict=True)
    return f"{median(a / b for a, b in pairs):.2f}"


def _figure(row: Row, way: str, unit: str) -> str:
    figures = row["rounds"].get(way, {}).get(unit)
    if not figures:
        return ""
    value = median(figures)
    if unit != SECONDS:
        return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    for scale, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * scale >= 1:
            return f"{value * scale:.3g} {name}"
    return f"{value * 1e9:.3g} ns"


def _rate(row: Row) -> str:
    return f"{row['nbytes'] / median(row['rounds'][BIGRAD][SECONDS]) / 1e9:.3g}"


def _aims(row: Row) -> str:
    return "; ".join(
        f"{aim['text']}: {aim['reached']:.3g}{'' if aim['met'] else ' **(missed)**'}"
        for aim in row["targets"]
    )


def _ordered(items: Any) -> list[Any]:
    return list(dict.fromkeys(items))


def render(template: str, run: Mapping[str, Any]) -> str:
    """Fill the places of a template: ``facts`` and a table for each group.

    Raises
    ------
    ValueError
        Where the run has a group that the template has no place for, or the reverse.
    """
    infos = [b["extra_info"] for b in run["benchmarks"]]
    rows = [info for info in infos if "group" in info]
    groups = {
        name: [r for r in rows if r["group"] == name]
        for name in _ordered(r["group"] for r in rows)
    }
    facts = {**run["machine_info"]["facts"], "Date": run["datetime"][:10]}
    filled = {
        "facts": "\n".join(f"- {name}: {fact}" for name, fact in facts.items()),
        **{name: table(group) for name, group in groups.items()},
    }
    places = re.findall(r"<!-- (.+?) -->", template)
    if set(places) != set(filled):
        msg = f"template and run differ in {sorted(set(places) ^ set(filled))}"
        raise ValueError(msg)
    return re.sub(r"<!-- (.+?) -->", lambda place: filled[place[1]], template)


def main(path: str, *options: str) -> None:
    """Print the report of a run; with ``--write``, write it and the figure."""
    run = json.loads(Path(path).read_text())
    text = render(_TEMPLATE.read_text(), run)
    print(text)
    if "--write" in options:
        _README.write_text(text)
        draw([b["extra_info"] for b in run["benchmarks"] if "scaling" in b["extra_info"]], _FIGURE)
        print(f"\nwritten: {_README.name}, {_FIGURE.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
