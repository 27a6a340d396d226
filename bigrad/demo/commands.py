"""Run the command line as a user would, and see what it takes."""

import os
import shlex
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path

import click

__all__ = ["Ran", "bigrad"]


@dataclass(frozen=True)
class Ran:
    """What a command took: wall time in seconds, and the peak of its resident memory in bytes."""

    seconds: float
    peak: int


# The kernel counts into a process' peak that of the process which started it. So a process that
# is next to nothing starts the command, and tells its peak through the pipe that it is given.
_MEASURE = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[2:])
try:
    _, status, usage = os.wait4(process.pid, 0)
except KeyboardInterrupt:
    sys.exit(process.wait())
os.write(int(sys.argv[1]), str(usage.ru_maxrss).encode())
sys.exit(os.waitstatus_to_exitcode(status))
"""


def bigrad(*arguments: str) -> Ran:
    """Run ``bigrad`` with these arguments, as a user would.

    Raises
    ------
    SystemExit
        With the status of the command, where it fails.
    """
    click.secho(f"$ {shlex.join(['bigrad', *arguments])}", bold=True)
    script = Path(sysconfig.get_path("scripts"), "bigrad")
    read, write = os.pipe()
    began = time.perf_counter()
    try:
        status = subprocess.call(
            [sys.executable, "-IS", "-c", _MEASURE, str(write), script, *arguments],
            pass_fds=[write],
        )
    finally:
        os.close(write)
        with os.fdopen(read) as pipe:
            peak = pipe.read()
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(status)
    return Ran(seconds, int(peak) * (1 if sys.platform == "darwin" else 1024))
