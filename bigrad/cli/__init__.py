"""The process of the command line, and its answer to Ctrl-C: a line, and status 130.

Nothing but that is imported here, so that it holds while the commands are.
"""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

__all__ = ["INTERRUPTED", "STOPPED", "main", "raising_interrupts"]

# The status of a process that Ctrl-C has ended, as shells have it, and what it says.
INTERRUPTED = 128 + signal.SIGINT
STOPPED = "\nStopped."


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command, and end the process.

    Parameters
    ----------
    arguments : sequence of str, optional
        Of the command line; by default those of this process.

    Raises
    ------
    SystemExit
        With the status of the command.
    """
    # Where it is ignored, as by a job in the background of a shell, it stays so.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)
    from bigrad.cli.commands import main as commands

    try:
        commands(arguments, prog_name="bigrad")
    except SystemExit as exc:
        if exc.code == INTERRUPTED:
            # What was cut short would complain while the interpreter shuts down.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        raise


@contextmanager
def raising_interrupts() -> Iterator[None]:
    """Have Ctrl-C raise KeyboardInterrupt, for what is to be stopped with care.

    Everywhere else it ends the process of the command line at once. Nothing is begun there, and
    an exception may come up where it is printed and passed over, as in the midst of an import.
    """
    if signal.getsignal(signal.SIGINT) is not _end:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, _end)


def _end(*_: Any) -> NoReturn:
    # Not by way of `sys.stderr`, in which this may have come up.
    os.write(2, f"{STOPPED}\n".encode())
    os._exit(INTERRUPTED)
