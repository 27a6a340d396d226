"""Operators on dask arrays: a block per chunk, faces exchanged by dask."""
