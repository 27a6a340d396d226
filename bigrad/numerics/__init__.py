"""Finite differences on one block: NumPy and Numba alone."""
