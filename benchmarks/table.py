"""The table of comparisons that the benchmarks run and the report prints."""

from benchmarks import arrays, cdo, ceilings, chunks, codecs, jobs, labels, startup, vectors

__all__ = ["TABLE"]

TABLE = (
    *arrays.ROWS,
    *vectors.ROWS,
    *chunks.ROWS,
    *labels.ROWS,
    *jobs.ROWS,
    *codecs.ROWS,
    *ceilings.ROWS,
    *cdo.ROWS,
    *startup.ROWS,
)
