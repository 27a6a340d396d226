"""Run a function of a benchmark in a fresh process, for figures that a used one would blur."""

import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.comparison import Measured

__all__ = ["MEGABYTES", "call", "command", "root"]

MEGABYTES = "MB of memory"

root = Path(__file__).parents[1]


def command(*arguments: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> str:
    """Run a command in the root of the project and return what it prints."""
    finished = subprocess.run(
        [os.fspath(argument) for argument in arguments],
        cwd=root,
        env={**os.environ, **(environ or {})},
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode:
        msg = f"{arguments} failed:\n{finished.stderr}"
        raise RuntimeError(msg)
    return finished.stdout


def call(function: str, *arguments: Any) -> Measured:
    """Call ``module:function``, which returns figures by unit; add the peak of the memory."""
    printed = command(sys.executable, "-m", "benchmarks.fresh", function, json.dumps(arguments))
    return Measured(json.loads(printed.splitlines()[-1]))


def _peak_megabytes() -> float:
    status = Path("/proc/self/status")
    if status.exists() and (found := re.search(r"VmHWM:\s+(\d+) kB", status.read_text())):
        return int(found[1]) * 1024 / 1e6
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale / 1e6


def _main(function: str, arguments: str) -> None:
    module, _, name = function.partition(":")
    figures = getattr(import_module(module), name)(*json.loads(arguments))
    sys.stdout.write(json.dumps({**figures, MEGABYTES: _peak_megabytes()}) + "\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
