"""Operators on xarray objects: coordinates are the spacing, attributes stay right."""
