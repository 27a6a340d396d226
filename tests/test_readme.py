import doctest
import os
import re
import subprocess
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Fenced:
    """A fenced block: its language, its text, and the line of the README that it begins on."""

    language: str
    text: str
    line: int


def sections() -> Iterator[tuple[str, list[Fenced]]]:
    """Yield each section that has fenced blocks: its heading, and those."""
    text = README.read_text()
    starts = [match.start() for match in re.finditer(r"^## ", text, re.MULTILINE)]
    for start, stop in zip(starts, [*starts[1:], len(text)], strict=True):
        blocks = [
            Fenced(match[1], match[2], text.count("\n", 0, match.start(2)))
            for match in FENCE.finditer(text, start, stop)
        ]
        if blocks:
            yield text[start:stop].splitlines()[0].lstrip("# "), blocks


SECTIONS = dict(sections())


def test_the_readme_has_a_block_for_every_way_in() -> None:
    assert set(SECTIONS) >= {"Arrays", "Dask", "xarray", "Zarr to zarr", "A dask cluster"}
    languages = {block.language for blocks in SECTIONS.values() for block in blocks}
    assert languages == {"python", "shell"}


@pytest.mark.parametrize("section", SECTIONS)
def test_blocks_of_a_section_do_what_they_show(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in SECTIONS[section]:
        if block.language == "shell":
            _run_in_shell(block)
        else:
            _run_as_doctest(section, block, names)


def _run_as_doctest(section: str, block: Fenced, names: dict[str, object]) -> None:
    parser = doctest.DocTestParser()
    test = parser.get_doctest(block.text, {}, section, str(README), block.line)
    assert test.examples, f"line {block.line}: nothing here is run"
    test.globs = names
    failures: list[str] = []
    flags = doctest.NORMALIZE_WHITESPACE | doctest.FAIL_FAST
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(test, out=failures.append, clear_globs=False)
    assert not failures, "".join(failures)


def _run_in_shell(block: Fenced) -> None:
    scripts = sysconfig.get_path("scripts")
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        check=True,
        env={**os.environ, "PATH": os.pathsep.join([scripts, os.environ["PATH"]])},
    )
