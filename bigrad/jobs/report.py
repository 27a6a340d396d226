"""What a job tells its caller: progress on the way, a report at the end."""

from dataclasses import dataclass

from dask.utils import format_bytes

__all__ = ["Progress", "Report"]


@dataclass(frozen=True)
class Progress:
    """Where a running job stands.

    Attributes
    ----------
    tasks_done, tasks : int
        Tasks finished, and in all. A task writes a block, or copies some objects.
    bytes_done, bytes : int
        Uncompressed bytes of results written, and to write in all.
    seconds : float
        Since the first task began.
    """

    tasks_done: int
    tasks: int
    bytes_done: int
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """What a finished job did.

    Attributes
    ----------
    seconds : float
        From the call to its return.
    blocks : int
        Blocks computed.
    bytes_read : int
        Bytes of source chunks decoded, uncompressed; a chunk counts each time it is read.
    bytes_written : int
        Bytes of results, uncompressed.
    bytes_copied : int
        Bytes of variables copied as they are, compressed.
    peak_memory : int or None
        The most that the process held since it began, in bytes; None where the system does
        not tell.
    """

    seconds: float
    blocks: int
    bytes_read: int
    bytes_written: int
    bytes_copied: int
    peak_memory: int | None

    def __str__(self) -> str:
        peak = self.peak_memory
        held = "" if peak is None else f", peak memory {format_bytes(peak)}"
        return (
            f"{self.blocks} block{'' if self.blocks == 1 else 's'} in {self.seconds:.1f} s: "
            f"{format_bytes(self.bytes_written)} written, "
            f"{format_bytes(self.bytes_read)} read{held}"
        )
