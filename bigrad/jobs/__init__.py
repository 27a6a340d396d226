"""Jobs from zarr store to zarr store within a memory ceiling."""
