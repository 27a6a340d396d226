"""What a job tells its caller: progress on the way, a report at the end."""

from dataclasses import dataclass

from dask.utils import format_bytes

__all__ = ["Progress", "Report"]


@dataclass(frozen=True)
class Progress:
    """Where a running job stands.

    Attributes
    ----------
    blocks_done, blocks : int
        Blocks of results written, those of earlier runs included, and in all.
    blocks_resumed : int
        Those written by earlier runs, which this one left as they are.
    bytes_read : int
        Bytes of source chunks decoded by this run, uncompressed.
    bytes_written : int
        Bytes of results written by this run, uncompressed.
    bytes_copied : int
        Bytes of variables copied as they are by this run, compressed.
    bytes_done, bytes : int
        Bytes of results written, those of earlier runs included, and in all.
    seconds : float
        Since this run began.
    rate : float
        Bytes of results that this run wrote in a second.
    seconds_left : float or None
        At that rate; None before anything is written.
    peak_memory : int or None
        The most bytes that a process of the job held so far; None where the system does not
        tell.
    ceiling : int
        The most that one may hold.
    """

    blocks_done: int
    blocks: int
    blocks_resumed: int
    bytes_read: int
    bytes_written: int
    bytes_copied: int
    bytes_done: int
    bytes: int
    seconds: float
    rate: float
    seconds_left: float | None
    peak_memory: int | None
    ceiling: int


@dataclass(frozen=True)
class Report:
    """What a finished job did.

    Attributes
    ----------
    seconds : float
        From the call to its return.
    blocks : int
        Blocks computed.
    blocks_resumed : int
        Blocks that earlier runs had written.
    bytes_read : int
        Bytes of source chunks decoded, uncompressed; a chunk counts each time it is read.
    bytes_written : int
        Bytes of results, uncompressed.
    bytes_copied : int
        Bytes of variables copied as they are, compressed.
    peak_memory : int or None
        The most that a process of the job held since it began, in bytes; None where the system
        does not tell.
    retries : int
        Requests to remote stores that this process made again, since they failed for a moment;
        workers of a cluster count their own, in their logs.
    """

    seconds: float
    blocks: int
    blocks_resumed: int
    bytes_read: int
    bytes_written: int
    bytes_copied: int
    peak_memory: int | None
    retries: int

    def __str__(self) -> str:
        peak = self.peak_memory
        held = "" if peak is None else f", peak memory {format_bytes(peak)}"
        kept = f" ({self.blocks_resumed} more were there)" if self.blocks_resumed else ""
        again = f", {self.retries} requests made again" if self.retries else ""
        return (
            f"{self.blocks} block{'' if self.blocks == 1 else 's'}{kept} in "
            f"{self.seconds:.1f} s: {format_bytes(self.bytes_written)} written, "
            f"{format_bytes(self.bytes_read)} read{held}{again}"
        )
