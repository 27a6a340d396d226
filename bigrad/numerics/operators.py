"""Operators: what to compute on a block, and nothing about where the data lives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bigrad.numerics import expressions, fused
from bigrad.numerics.spacing import Spacing
from bigrad.numerics.stencils import Stencil
from bigrad.numerics.stencils import stencil as decide

__all__ = ["Block", "Gradient"]


@dataclass(frozen=True, eq=False)
class Block:
    """Part of an array, with the neighbouring cells that its derivatives need.

    Attributes
    ----------
    core : array
        The cells to compute.
    start : tuple of int
        Place of the first of them in the whole array.
    faces : mapping of int to pair of arrays
        For an axis, the cells just before and just after the core, as wide as the core along
        the other axes. An axis is absent, or its pair empty, where nothing is needed.
    """

    core: Any
    start: tuple[int, ...]
    faces: Mapping[int, tuple[Any, Any]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Gradient:
    """The derivative along each of some axes.

    Attributes
    ----------
    stencils : dict of int to Stencil
        By axis, in the order of the results.
    input_dtype : numpy.dtype
        Of the data.
    """

    stencils: Mapping[int, Stencil]
    input_dtype: np.dtype[Any]
    _numbers: Mapping[int, fused.Coefficients | None]

    @classmethod
    def along(
        cls, spacings: Mapping[int, Spacing], *, dtype: Any, edge_order: int = 1
    ) -> "Gradient":
        """Decide the derivative of data of `dtype` along axes with these spacings.

        Raises
        ------
        ValueError
            Where an axis has fewer than ``edge_order + 1`` cells.
        """
        dtype = np.dtype(dtype)
        stencils = {axis: decide(spacing, edge_order) for axis, spacing in spacings.items()}
        numbers = {axis: fused.coefficients(s, dtype) for axis, s in stencils.items()}
        return cls(stencils, dtype, numbers)

    @staticmethod
    def dtype_of(dtype: Any) -> np.dtype[Any]:
        """Dtype of the results for data of `dtype`."""
        return expressions.result_dtype(np.dtype(dtype))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the results."""
        return self.dtype_of(self.input_dtype)

    @property
    def fused(self) -> bool:
        """Whether the compiled loops serve all axes, for NumPy's own arrays."""
        return all(numbers is not None for numbers in self._numbers.values())

    def window(self, axis: int, start: int, stop: int) -> tuple[int, int]:
        """Range of input cells along `axis` that the output cells ``[start, stop)`` need."""
        return self.stencils[axis].window(start, stop)

    def apply(
        self, block: Block, out: Sequence[Any] | None = None, workers: int = 1
    ) -> tuple[Any, ...]:
        """Differentiate a block.

        Parameters
        ----------
        block : Block
            Cells of the data.
        out : sequence of numpy.ndarray, optional
            For each axis an array of the core's shape and of the result's dtype to fill.
        workers : int
            How many threads share the work.

        Returns
        -------
        tuple of array
            For each axis an array of the core's shape.
        """
        core, faces = block.core, block.faces
        plain = fused.takes(core)
        for pair in faces.values():
            plain = plain and fused.takes(pair[0]) and fused.takes(pair[1])
        results = []
        for number, (axis, stencil) in enumerate(self.stencils.items()):
            place = stencil, axis, block.start[axis], core, faces.get(axis)
            target = None if out is None else out[number]
            numbers = self._numbers[axis]
            if plain and numbers is not None and (out is None or fused.takes(target)):
                results.append(fused.differentiate(numbers, *place, target, workers))
            else:
                results.append(expressions.differentiate(*place, target))
        return tuple(results)
