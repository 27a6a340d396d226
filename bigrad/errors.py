"""The exceptions that bigrad raises on purpose.

Each is also the built-in exception that the users of NumPy and xarray expect
there, so that ``except ValueError`` keeps working. The array function raises
the exceptions of `numpy.gradient` itself.
"""

__all__ = [
    "BigradError",
    "CoordinateError",
    "JobError",
    "MemoryCeilingError",
    "SourceError",
    "TargetError",
]


class BigradError(Exception):
    """Base of the errors below; the command line prints these without a traceback."""


class CoordinateError(BigradError, ValueError):
    """A coordinate cannot be the spacing of a derivative."""


class JobError(BigradError, RuntimeError):
    """A job cannot go on; what it has done is kept, and it can be resumed."""


class MemoryCeilingError(BigradError, ValueError):
    """A job cannot keep its memory ceiling; the message names the least that would do."""


class SourceError(BigradError, ValueError):
    """What was named as the source of a job cannot be read as one."""


class TargetError(BigradError, ValueError):
    """A job may not, or cannot, write to its target."""
