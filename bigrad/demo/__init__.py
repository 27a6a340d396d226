"""The demonstration: zarr stores differentiated by the command line, and checked."""
