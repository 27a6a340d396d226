"""Operators: what to compute on a block, and nothing about where the data lives."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from bigrad.numerics import expressions
from bigrad.numerics.buffers import takes
from bigrad.numerics.coefficients import Coefficients, coefficients
from bigrad.numerics.expressions import result_dtype
from bigrad.numerics.loops import worthwhile
from bigrad.numerics.spacing import Spacing
from bigrad.numerics.stencils import Reach, Stencil
from bigrad.numerics.stencils import stencil as decide

if TYPE_CHECKING:
    from bigrad.numerics.fused import Prepared

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
    dtype : numpy.dtype
        Of the results.
    numbers : tuple of Coefficients, or None
        For the compiled loops, by axis; None where array expressions serve.
    """

    stencils: Mapping[int, Stencil]
    dtype: np.dtype[Any]
    numbers: tuple[Coefficients, ...] | None

    @classmethod
    def along(
        cls, spacings: Mapping[int, Spacing], *, dtype: Any, edge_order: int = 1
    ) -> Gradient:
        """Decide the derivative of data of `dtype` along axes with these spacings.

        Raises
        ------
        ValueError
            Where an axis has fewer than ``edge_order + 1`` cells.
        """
        dtype = np.dtype(dtype)
        stencils = {axis: decide(spacing, edge_order) for axis, spacing in spacings.items()}
        found = [coefficients(stencil, dtype) for stencil in stencils.values()]
        numbers = tuple(n for n in found if n is not None)
        complete = len(numbers) == len(found)
        return cls(stencils, result_dtype(dtype), numbers if complete else None)

    @property
    def reach(self) -> dict[int, Reach]:
        """How far the derivatives look, by axis."""
        return {axis: stencil.reach for axis, stencil in self.stencils.items()}

    def prepared(self, shape: tuple[int, ...], itemsize: int) -> Prepared | None:
        """Prepare for small arrays of a shape; None where that is too soon, or of no use."""
        if self.numbers is None or "numba" not in sys.modules:
            return None
        from bigrad.numerics import fused

        derivatives = (
            fused.Along(axis, stencil, numbers, 0, None, None)
            for (axis, stencil), numbers in zip(self.stencils.items(), self.numbers, strict=True)
        )
        return fused.prepared(shape, itemsize, self.dtype, derivatives)

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
        arrays = (core, *(out or ()), *chain.from_iterable(faces.values()))
        served = self.numbers is not None and all(map(takes, arrays))
        if self.numbers is None or not served or not worthwhile(core.nbytes):
            # Where the loops would serve, which do not warn of what the data bring about, no
            # other way may: the same call would behave differently from time to time.
            with np.errstate(all="ignore") if served else nullcontext():
                return tuple(
                    expressions.differentiate(
                        stencil, axis, block.start[axis], core, faces.get(axis), result
                    )
                    for (axis, stencil), result in zip(
                        self.stencils.items(), out or (None,) * len(self.stencils), strict=True
                    )
                )
        from bigrad.numerics import fused

        results = tuple(out or [np.empty_like(core, self.dtype) for _ in self.stencils])
        fused.differentiate(
            np.asarray(core),
            [
                fused.Along(
                    axis, stencil, numbers, block.start[axis], faces.get(axis), np.asarray(result)
                )
                for (axis, stencil), numbers, result in zip(
                    self.stencils.items(), self.numbers, results, strict=True
                )
            ],
            workers,
        )
        return results
